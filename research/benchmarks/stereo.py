"""How well stereo survives: one mono grid, mono with pan rows, and two separate grids.

Run ``python -m research.benchmarks.stereo CORPUS``, the folder of a corpus with its manifest.
Excerpts are
taken from the tracks that are really stereo; every system encodes and decodes the same ones.
Directions are compared in stretches of 46 ms, half a token frame, in bands of whole FFT bins.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bandtok import Audio, Tokenizer
from bandtok.data.manifest import Track, load_manifest
from bandtok.evaluation.reconstruction import compare_mels, log_mel
from bandtok.signal.audio import probe_audio, stream_audio
from bandtok.signal.mel import MelConfig, mel_bin_centers_hz
from bandtok.tokens import atomic

SPLITS = ("test", "unseen")
START_SHARE = 0.4
MIN_SIDE_DB = -12.0
MIN_LEVEL_DB = -35.0
PER_PACKAGE = 1
STRETCH_FRAMES = 4
MAX_LEVEL_DB = 30.0
_TINY = 1e-9


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A stretch of stereo music; `side_db` is its side's level over its mid's."""

    title: str
    audio: Audio
    side_db: float


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What is compared, smaller is better.

    Attributes:
        mel: mean ln-mel distance below 15 kHz of left with left and right with right.
        level_db: error of the level difference of the channels by band, weighted by energy.
        coherence: error of the coherence of the channels by band, weighted by energy.
        side_mel: ln-mel distance below 15 kHz of the sides, (left - right) / 2.
    """

    mel: float
    level_db: float
    coherence: float
    side_mel: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """A system's mean over all excerpts."""

    system: str
    bit_rate_bps: float
    measures: Measures


def find_excerpts(corpus: Path, seconds: float, count: int, sample_rate: int) -> list[Excerpt]:
    """Return excerpts at 40 % of the first tracks that are long, loud and stereo enough."""
    found: list[Excerpt] = []
    taken: Counter[str] = Counter()
    for track in load_manifest(corpus, SPLITS):
        if len(found) == count:
            break
        if (
            track.channels != 2
            or track.seconds < 2 * seconds
            or taken[track.package] >= PER_PACKAGE
        ):
            continue
        waveform = _stretch(corpus, track, seconds, sample_rate)
        mid, side = (_level_db(part) for part in _mid_and_side(waveform))
        if mid < MIN_LEVEL_DB or side - mid < MIN_SIDE_DB:
            continue
        taken[track.package] += 1
        audio = Audio(waveform, sample_rate)
        found.append(Excerpt(title=track.title, audio=audio, side_db=side - mid))
    return found


def _stretch(corpus: Path, track: Track, seconds: float, sample_rate: int) -> np.ndarray:
    """Load a stretch of a track, stems added up, float32 [2, samples]."""
    total = np.zeros((2, round(seconds * sample_rate)), np.float32)
    for name in (track.path, *track.stems):
        path, filled = corpus / name, 0
        start = int(probe_audio(path).samples * START_SHARE)
        for block in stream_audio(path, sample_rate, mono=False, start=start):
            part = block[:, : total.shape[1] - filled]
            total[:, filled : filled + part.shape[1]] += part
            filled += part.shape[1]
            if filled == total.shape[1]:
                break
    return total


def _mid_and_side(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (waveform[0] + waveform[1]) / 2, (waveform[0] - waveform[1]) / 2


def _level_db(waveform: np.ndarray) -> float:
    return float(10 * np.log10(np.square(waveform).mean() + _TINY))


def systems(tokenizer: Tokenizer) -> dict[str, Callable[[Audio], tuple[np.ndarray, float]]]:
    """Return the systems by name; each gives the decoded [2, samples] and its bit rate."""

    def mono(audio: Audio) -> tuple[np.ndarray, float]:
        grid = tokenizer.encode(audio)
        return np.repeat(tokenizer.decode(grid).waveform, 2, axis=0), grid.bit_rate_bps

    def pan_rows(audio: Audio) -> tuple[np.ndarray, float]:
        grid = tokenizer.encode(audio, stereo=True)
        return tokenizer.decode(grid).waveform, grid.bit_rate_bps

    def two_grids(audio: Audio) -> tuple[np.ndarray, float]:
        grids = [tokenizer.encode(Audio(row[None], audio.sample_rate)) for row in audio.waveform]
        decoded = np.concatenate([tokenizer.decode(grid).waveform for grid in grids])
        return decoded, sum(grid.bit_rate_bps for grid in grids)

    return {"mono on both sides": mono, "mono and pan rows": pan_rows, "two grids": two_grids}


def measure(original: np.ndarray, decoded: np.ndarray, config: MelConfig, bands: int) -> Measures:
    """Compare two stereo waveforms [2, samples]."""
    first, second = (_relations(waveform, config, bands) for waveform in (original, decoded))
    weight = first[2] / first[2].sum()
    sides = [_mid_and_side(waveform)[1] for waveform in (original, decoded)]
    return Measures(
        mel=float(np.mean([_mel(*pair, config) for pair in zip(original, decoded, strict=True)])),
        level_db=float((weight * (first[0] - second[0]).abs()).sum()),
        coherence=float((weight * (first[1] - second[1]).abs()).sum()),
        side_mel=_mel(sides[0], sides[1], config),
    )


def _mel(original: np.ndarray, decoded: np.ndarray, config: MelConfig) -> float:
    mels = [log_mel(config)(w) for w in (original, decoded)]
    return compare_mels(mels[0], mels[1], config).below


def _relations(
    waveform: np.ndarray, config: MelConfig, bands: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return level difference in dB, coherence and energy, float64 [bands, stretches] each."""
    window = torch.hann_window(config.win_length, dtype=torch.float64)
    samples = torch.from_numpy(waveform).double()
    spectrum = torch.stft(
        samples, config.n_fft, config.hop_length, window=window, return_complex=True
    )
    frequencies = np.fft.rfftfreq(config.n_fft, 1 / config.sample_rate)
    centers = mel_bin_centers_hz(config).reshape(bands, -1)
    edges = (centers[:-1, -1] + centers[1:, 0]) / 2
    member = torch.from_numpy(np.searchsorted(edges, frequencies))
    frames = spectrum.shape[-1] // STRETCH_FRAMES * STRETCH_FRAMES

    def by_band(product: Tensor) -> Tensor:
        summed = torch.zeros(bands, product.shape[1], dtype=torch.float64)
        summed.index_add_(0, member, product.real)
        return summed[:, :frames].unflatten(1, (-1, STRETCH_FRAMES)).sum(-1)

    left, right = (by_band(part * part.conj()) for part in spectrum)
    shared = by_band(spectrum[0] * spectrum[1].conj())
    level = 10 * torch.log10((left + _TINY) / (right + _TINY))
    coherence = shared / (left * right).sqrt().clamp(min=_TINY)
    return level.clamp(-MAX_LEVEL_DB, MAX_LEVEL_DB), coherence, left + right


def run(tokenizer: Tokenizer, excerpts: list[Excerpt]) -> list[Row]:
    """Measure all systems on all excerpts."""
    rows = []
    for name, system in systems(tokenizer).items():
        results, rates = [], []
        for excerpt in excerpts:
            decoded, rate = system(excerpt.audio)
            original = excerpt.audio.waveform
            found = measure(original, decoded, tokenizer.config.mel, tokenizer.num_bands)
            print(f"{name}: {excerpt.title}: {found}", file=sys.stderr, flush=True)
            results.append([getattr(found, field.name) for field in fields(Measures)])
            rates.append(rate)
        means = np.mean(results, axis=0).tolist()
        names = [field.name for field in fields(Measures)]
        measures = Measures(**dict(zip(names, means, strict=True)))
        rows.append(Row(system=name, bit_rate_bps=float(np.mean(rates)), measures=measures))
    return rows


def table(rows: list[Row]) -> str:
    """Write the result as a Markdown table."""
    lines = [
        "| system | kbit/s | mel distance of left and right | level difference, error in dB "
        "| coherence, error | mel distance of the side |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        found = row.measures
        lines.append(
            f"| {row.system} | {row.bit_rate_bps / 1000:.2f} | {found.mel:.3f} "
            f"| {found.level_db:.2f} | {found.coherence:.3f} | {found.side_mel:.3f} |"
        )
    return "\n".join(lines)


def page(rows: list[Row], excerpts: list[Excerpt], facts: dict[str, object]) -> str:
    """Write the page that goes into the documentation."""
    music = "\n".join(f"- {excerpt.title} (side {excerpt.side_db:.1f} dB)" for excerpt in excerpts)
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return (
        "# Stereo\n\n"
        "Means over excerpts of stereo music that no network has seen; made by "
        "`python -m research.benchmarks.stereo CORPUS --write docs/benchmarks/stereo.md`. Mel distances are "  # noqa: E501
        "mean absolute differences of ln-mels below 15 kHz. Level difference and coherence of the "
        f"two channels are compared in {facts['bands']} bands and stretches of 46 ms, weighted by "
        f"energy; levels are cut at {MAX_LEVEL_DB:.0f} dB. For all measures smaller is better. "
        "Decoded mono on both sides has no side at all, so its last figure is the distance to "
        f"silence.\n\n{table(rows)}\n\n## Conditions\n\n{listed}\n\n## Music\n\n{music}\n"
    )


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder of a corpus, with its manifest")
    parser.add_argument("--model", help="tokenizer to measure; default the bundled one")
    parser.add_argument("--excerpts", type=int, default=10, help="at most so many")
    parser.add_argument("--duration", type=float, default=8.0, help="length of each")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--write", metavar="FILE.md", help="also write the result as a page")
    options = parser.parse_args()
    if options.excerpts < 1 or options.duration <= 0:
        parser.error("--excerpts and --seconds must be positive")
    tokenizer = Tokenizer.from_pretrained(options.model, device="cpu")
    rate = tokenizer.sample_rate
    excerpts = find_excerpts(options.corpus, options.duration, options.excerpts, rate)
    if not excerpts:
        parser.error(f"no stereo music of {2 * options.duration} s in {', '.join(SPLITS)}")
    rows = run(tokenizer, excerpts)
    facts: dict[str, object] = {
        "model": f"{tokenizer.model_id} {tokenizer.fingerprint[:12]}",
        "bands": tokenizer.num_bands,
        "excerpts": f"{len(excerpts)} of {options.duration:g} s, {START_SHARE:.0%} into the track",
        "at most": f"{PER_PACKAGE} of a package, side at least {MIN_SIDE_DB:g} dB over mid",
        "torch": torch.__version__,
    }
    if options.write:
        atomic.write_text(options.write, page(rows, excerpts, facts))
    if options.json:
        print(json.dumps({"conditions": facts, "systems": [asdict(r) for r in rows]}, indent=2))
    else:
        print(table(rows))


if __name__ == "__main__":
    main()
