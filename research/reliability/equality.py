"""Random cases of one promise: however music is cut, batched or streamed, the result is the same.

    python -m research.reliability.equality --cases 600 [--model debug] [--seed 0] [--write FILE.md]

Each case draws a kind, a length and a way of cutting, computes both sides and compares every bit.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bandtok
from bandtok.signal.audio import load_audio
from research.reliability.report import Section, machine, write_section

EXCERPT = Path(__file__).parents[2] / "examples" / "audio" / "greece.flac"


@dataclass(frozen=True)
class Case:
    """One drawn comparison: what was compared, in words, and whether both sides agreed."""

    kind: str
    what: str
    equal: bool


def run_cases(
    tokenizer: bandtok.Tokenizer, number: int, seed: int, max_seconds: float
) -> Iterator[Case]:
    """Draw and compare `number` cases, the kinds in turn.

    Args:
        tokenizer: what is tested.
        number: of cases.
        seed: decides every case.
        max_seconds: of music in a case.
    """
    rng = np.random.default_rng(seed)
    music = load_audio(EXCERPT, tokenizer.sample_rate, mono=True).waveform[0]
    kinds = list(_KINDS.items())
    for index in range(number):
        name, compare = kinds[index % len(kinds)]
        samples = int(max_seconds * tokenizer.sample_rate * rng.random() ** 2)
        start = int(rng.integers(0, len(music)))
        piece = np.tile(np.roll(music, -start), samples // len(music) + 1)[:samples]
        piece = piece * np.float32(10 ** rng.uniform(-3, 0.3))
        what, equal = compare(tokenizer, piece, rng)
        yield Case(name, f"{samples} samples, {what}", equal)


def _encode_cut(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, rng: np.random.Generator
) -> tuple[str, bool]:
    sizes = _cuts(len(music), rng)
    whole = tokenizer.encode_waveform(music[None, None])[0]
    pieces = list(tokenizer.codec.encode_blocks(_split(music, sizes)))
    return f"cut into {len(sizes)}", np.array_equal(
        np.concatenate([whole[:, :0], *pieces], axis=1), whole
    )


def _encode_batch(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, rng: np.random.Generator
) -> tuple[str, bool]:
    number = int(rng.integers(2, 5))
    batch = np.stack([np.roll(music, 997 * n) * np.float32(0.5**n) for n in range(number)])[:, None]
    together = tokenizer.encode_waveform(batch)
    alone = [tokenizer.encode_waveform(row[None])[0] for row in batch]
    return f"batch of {number}", np.array_equal(together, np.stack(alone))


def _decode_cut(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, rng: np.random.Generator
) -> tuple[str, bool]:
    codes = _some_codes(tokenizer, music, rng)
    sizes = _cuts(codes.shape[1], rng)
    whole = tokenizer.decode_codes(codes[None])[0, 0]
    pieces = list(tokenizer.codec.decode_blocks(_split(codes, sizes)))
    return f"cut into {len(sizes)}", np.array_equal(np.concatenate([whole[:0], *pieces]), whole)


def _decode_batch(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, rng: np.random.Generator
) -> tuple[str, bool]:
    number = int(rng.integers(2, 4))
    codes = np.stack([_some_codes(tokenizer, music, rng) for _ in range(number)])
    together = tokenizer.decode_codes(codes)
    alone = [tokenizer.decode_codes(row[None])[0] for row in codes]
    return f"batch of {number}", np.array_equal(together, np.stack(alone))


def _decode_range(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, rng: np.random.Generator
) -> tuple[str, bool]:
    grid = tokenizer.encode(bandtok.Audio(music[None], tokenizer.sample_rate))
    first, last = sorted(int(n) for n in rng.integers(0, len(music) + 1, 2))
    whole = tokenizer.decode(grid).waveform[:, first:last]
    part = tokenizer.decode_range(grid, first, last).waveform
    return f"samples {first} to {last} alone", np.array_equal(part, whole)


def _length_and_repeat(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, rng: np.random.Generator
) -> tuple[str, bool]:
    audio = bandtok.Audio(music[None], tokenizer.sample_rate)
    first, second = tokenizer.encode(audio), tokenizer.encode(audio)
    back, again = tokenizer.decode(first), tokenizer.decode(second)
    same = np.array_equal(first.codes, second.codes)
    same &= np.array_equal(back.waveform, again.waveform)
    return "twice, and the length", same and back.waveform.shape[1] == len(music)


def _stereo(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, rng: np.random.Generator
) -> tuple[str, bool]:
    both = np.stack([music, np.roll(music, 4_321) * 0.7])
    audio = bandtok.Audio(both, tokenizer.sample_rate)
    grid = tokenizer.encode(audio, stereo=True)
    same = np.array_equal(grid.mono().codes, tokenizer.encode(audio).codes)
    first, last = sorted(int(n) for n in rng.integers(0, len(music) + 1, 2))
    whole = tokenizer.decode(grid).waveform[:, first:last]
    part = tokenizer.decode_range(grid, first, last).waveform
    return f"mono rows, and samples {first} to {last} alone", same and np.array_equal(part, whole)


Compare = Callable[[bandtok.Tokenizer, np.ndarray, np.random.Generator], tuple[str, bool]]
_KINDS: dict[str, Compare] = {
    "encoding: cut = whole": _encode_cut,
    "encoding: batch = singles": _encode_batch,
    "decoding: cut = whole": _decode_cut,
    "decoding: batch = singles": _decode_batch,
    "decoding: range = part of whole": _decode_range,
    "both: twice = once, length kept": _length_and_repeat,
    "stereo: mono rows = mono, range = part of whole": _stereo,
}


def _cuts(length: int, rng: np.random.Generator) -> list[int]:
    """Draw sizes, empty pieces among them, that sum to `length`."""
    places = np.sort(rng.integers(0, length + 1, int(rng.integers(0, 12))))
    return [int(n) for n in np.diff(np.concatenate([[0], places, [length]]))]


def _split(array: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Cut the last axis into pieces of these sizes."""
    return np.split(array, np.cumsum(sizes)[:-1], axis=-1)


def _some_codes(
    tokenizer: bandtok.Tokenizer, music: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Random codes, as many frames as the music has: harder than real ones."""
    frames = -(-len(music) // tokenizer.samples_per_frame)
    return rng.integers(0, tokenizer.codebook_size, (tokenizer.num_bands, frames))


def main() -> int:
    """Run the cases, print what differs, write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--model", default=None, help="bundled by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-seconds", type=float, default=40.0)
    parser.add_argument("--write", type=Path, default=None, metavar="FILE.md")
    arguments = parser.parse_args()
    tokenizer = bandtok.Tokenizer.from_pretrained(arguments.model, device="cpu")
    done, failed = Counter[str](), Counter[str]()
    for case in run_cases(tokenizer, arguments.cases, arguments.seed, arguments.max_seconds):
        done[case.kind] += 1
        if not case.equal:
            failed[case.kind] += 1
            print(f"differs: {case.kind}: {case.what}", file=sys.stderr)
        if sum(done.values()) % 25 == 0:
            print(f"{sum(done.values())} of {arguments.cases}", file=sys.stderr)
    section = Section(
        title="Equality of windows, batches, streams and ranges",
        command=f"python -m research.reliability.equality --cases {arguments.cases} "
        + (f"--model {arguments.model} " if arguments.model else "")
        + f"--seed {arguments.seed} --max-seconds {arguments.max_seconds:g}",
        columns=("what", "cases", "different"),
        rows=[(kind, str(number), str(failed[kind])) for kind, number in done.items()],
        note=f"Every bit compared. Model {tokenizer.model_id}; {machine()}.",
    )
    write_section(section, arguments.write)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
