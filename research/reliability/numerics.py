"""What may differ between threads and number formats, measured, beside what tiny changes do.

    python -m research.reliability.numerics [AUDIO ...] [--duration 10] [--write FILE.md]

Each row computes the tokens, and what fixed tokens decode to, in another way than the plain one
(CPU, float32, one thread), and says how much is still the same.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import bandtok
from bandtok.backends.torch_codec import ExternalVocoder, TorchCodec
from bandtok.golden import snr_db
from bandtok.signal.audio import Audio, load_audio
from bandtok.signal.torch_mel import TorchLogMel
from research.reliability.report import Section, machine, write_section

EXCERPT = Path(__file__).parents[2] / "examples" / "audio" / "greece.flac"


@dataclass(frozen=True)
class Row:
    """One other way: share of equal tokens, and the waveform's distance in decibels (or None)."""

    what: str
    agreement: float
    snr_db: float | None


def measure(
    tokenizer: bandtok.Tokenizer,
    music: Sequence[Tensor],
    others: Mapping[str, bandtok.Tokenizer],
) -> list[Row]:
    """Compute every row over pieces of music [samples].

    Args:
        tokenizer: of the torch back end, which the others are compared with.
        music: the pieces.
        others: the same model by another back end, by name of the row.
    """
    backend, decoder = tokenizer.codec.network, tokenizer.codec.vocoder
    assert isinstance(backend, TorchCodec)
    assert isinstance(decoder, ExternalVocoder)
    network, vocoder = backend.network, decoder.network
    log_mel = TorchLogMel(tokenizer.config.mel)
    mels = [log_mel(_whole_frames(piece, tokenizer)[None, None]) for piece in music]
    plain = [network.encode_mel(mel) for mel in mels]
    made = [vocoder(network.decode_codes(codes)) for codes in plain]
    rows = []
    for what, way in _WAYS.items():
        with way() as kind:
            other, sound = copy.deepcopy(network).to(kind), copy.deepcopy(vocoder).to(kind)
            codes = [other.encode_mel(mel.to(kind)) for mel in mels]
            again = [_sound(other, sound, c) for c in plain]
        rows.append(Row(what, _agreement(plain, codes), _decibels(made, again)))
    for what, found in others.items():
        codes = [torch.from_numpy(found.codec.network.encode_mel(m[0].numpy()))[None] for m in mels]
        again = [_sound_of(found, c) for c in plain]
        rows.append(Row(what, _agreement(plain, codes), _decibels(made, again)))
    for what, change in _CHANGES.items():
        changed = [log_mel(_whole_frames(change(piece), tokenizer)[None, None]) for piece in music]
        codes = [network.encode_mel(mel) for mel in changed]
        rows.append(Row(what, _agreement(plain, codes), None))
    return rows


def _sound(network: nn.Module, vocoder: nn.Module, codes: Tensor) -> Tensor | None:
    """None in other precisions than float32: the vocoder computes its norms in that."""
    if next(vocoder.parameters()).dtype != torch.float32:
        return None
    waveform: Tensor = vocoder(network.decode_codes(codes))
    return waveform


@contextmanager
def _threads(number: int) -> Iterator[torch.dtype]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield torch.float32
    finally:
        torch.set_num_threads(before)


@contextmanager
def _format(kind: torch.dtype) -> Iterator[torch.dtype]:
    yield kind


_WAYS = {
    "once more": lambda: _format(torch.float32),
    "two threads": lambda: _threads(2),
    "float64 networks": lambda: _format(torch.float64),
    "bfloat16 networks": lambda: _format(torch.bfloat16),
    "float16 networks": lambda: _format(torch.float16),
}
_CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "input with noise at -120 dB": lambda x: x + 1e-6 * _noise(x),
    "input rounded to 24 bits": lambda x: (x * 2**23).round() / 2**23,
    "input rounded to 16 bits": lambda x: (x * 2**15).round() / 2**15,
    "input with noise at -60 dB": lambda x: x + 1e-3 * _noise(x),
    "input 0.1 dB louder": lambda x: x * 10 ** (0.1 / 20),
    "input one sample later": lambda x: x.roll(1),
    "input half a hop (256 samples) later": lambda x: x.roll(256),
}


def _sound_of(tokenizer: bandtok.Tokenizer, codes: Tensor) -> Tensor:
    mel = tokenizer.codec.network.decode_codes(codes[0].numpy())
    return torch.from_numpy(tokenizer.codec.vocoder.decode_mel(mel))[None, None]


def _noise(like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(0))


def _whole_frames(piece: Tensor, tokenizer: bandtok.Tokenizer) -> Tensor:
    return piece[: len(piece) // tokenizer.samples_per_frame * tokenizer.samples_per_frame]


def _agreement(plain: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    same = sum(int((a == b).sum()) for a, b in zip(plain, other, strict=True))
    return same / sum(codes.numel() for codes in plain)


def _decibels(plain: Sequence[Tensor], other: Sequence[Tensor | None]) -> float | None:
    if any(piece is None for piece in other):
        return None
    pairs = [
        (Audio(a[0].numpy(), 44_100), Audio(b[0].float().numpy(), 44_100))
        for a, b in zip(plain, other, strict=True)
        if b is not None
    ]
    return float(np.median([snr_db(a, b) for a, b in pairs]))


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("audio", type=Path, nargs="*", default=[EXCERPT])
    parser.add_argument("--model", default=None)
    parser.add_argument("--duration", type=float, default=10.0)
    parser.add_argument("--write", type=Path, default=None, metavar="FILE.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer = bandtok.Tokenizer.from_pretrained(arguments.model, device="cpu", backend="torch")
    others = {
        what: bandtok.Tokenizer.from_pretrained(arguments.model, backend="onnx", threads=threads)
        for what, threads in (("back end onnx, 1 thread", 1), ("back end onnx, 2 threads", 2))
    }
    samples = round(arguments.duration * tokenizer.sample_rate)
    music = [
        torch.from_numpy(load_audio(path, tokenizer.sample_rate, mono=True).waveform[0])[:samples]
        for path in arguments.audio
    ]
    with torch.inference_mode():
        rows = measure(tokenizer, music, others)
    section = Section(
        title="What threads, number formats and tiny changes do",
        command=f"python -m research.reliability.numerics ({len(music)} pieces)",
        columns=("computed differently", "tokens the same", "decoded waveform"),
        rows=[(row.what, f"{row.agreement:.3%}", _in_words(row.snr_db)) for row in rows],
        note=f"Against torch on a CPU, float32, one thread. {machine()}.",
    )
    write_section(section, arguments.write)


def _in_words(snr: float | None) -> str:
    if snr is None:
        return "-"
    return "equal" if np.isinf(snr) else f"{snr:.1f} dB"


if __name__ == "__main__":
    main()
