"""Where the mel error of one clip lies, as numbers and as one sentence.

    ln-mel before, ln-mel after -> Breakdown -> why

Cells of the original are empty (digital silence), faint (far below its loudest cell) or sounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandtok.signal.mel import MelConfig, mel_bin_centers_hz

EMPTY_MARGIN = 0.5
FAINT_BELOW_DB = 60.0
RANGES_HZ = ((0, 500), (500, 4_000), (4_000, 15_000))
DECIBELS = 20 / np.log(10)
_TELLING_SHARE = 0.6
_PLAIN_BIAS = 0.5
_MORE, _LESS = 1.5, 0.75
_STANDS_OUT = 4.0
_LEVEL_DB = 3.0
_PLACE_BINS, _PLACE_FRAMES = 8, 24


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some cells of the mel.

    Attributes:
        name: which.
        cells: their share of all cells.
        error: their share of the summed absolute error.
        before, after: mean ln-mel of original and output.
        distance: mean absolute difference.
    """

    name: str
    cells: float
    error: float
    before: float
    after: float
    distance: float


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """The mel error by loudness of the original and by frequency, shares of 1; the worst place."""

    loudness: tuple[Part, ...]
    frequency: tuple[Part, ...]
    worst: Part


def break_down(
    before: np.ndarray, after: np.ndarray, config: MelConfig, below_hz: float
) -> Breakdown:
    """Divide the error of two ln-mels [n_mels, mel_frames] below `below_hz`."""
    centers = mel_bin_centers_hz(config)
    kept = centers < below_hz
    first, second = before[kept].astype(np.float64), after[kept].astype(np.float64)
    empty = first < config.silence + EMPTY_MARGIN
    faint = ~empty & (first < first.max() - FAINT_BELOW_DB / DECIBELS)
    places = {"empty": empty, "faint": faint, "sounding": ~empty & ~faint}
    rows = {
        f"{low:,} to {high:,} Hz": np.broadcast_to(
            ((centers[kept] >= low) & (centers[kept] < high))[:, None], first.shape
        )
        for low, high in RANGES_HZ
    }
    return Breakdown(
        loudness=tuple(_part(name, cells, first, second) for name, cells in places.items()),
        frequency=tuple(_part(name, cells, first, second) for name, cells in rows.items()),
        worst=_worst_place(first, second, centers[kept], config),
    )


def why(found: Breakdown, level_db: float | None, variation: dict[str, float | None]) -> str:
    """Say in a sentence what the numbers show.

    Args:
        found: where the error lies.
        level_db: level of the output over the original's; None for silence.
        variation: total variation ratio from "frame" to frame and "bin" to bin; 1 is right.
    """
    worst = max(found.loudness, key=lambda part: part.error)
    said = [f"{worst.error:.0%} of the error {_place(worst)}: {_direction(worst)}"]
    band = max(found.frequency, key=lambda part: part.error / max(part.cells, 1e-9))
    if band.error > _TELLING_SHARE:
        said.append(f"{band.error:.0%} lies at {band.name} ({band.cells:.0%} of the bins)")
    if found.worst.distance > _STANDS_OUT * _mean_distance(found.loudness):
        said.append(f"worst at {found.worst.name}: {_direction(found.worst)}")
    if level_db is not None and abs(level_db) > _LEVEL_DB:
        said.append(f"all in all {abs(level_db):.0f} dB too {'loud' if level_db > 0 else 'quiet'}")
    for step, ratio in variation.items():
        if ratio is not None and not _LESS < ratio < _MORE:
            change = "only " if ratio < 1 else ""
            said.append(f"changes {change}{ratio:.1f} times as much from {step} to {step}")
    return "; ".join(said)


def _part(name: str, cells: np.ndarray, before: np.ndarray, after: np.ndarray) -> Part:
    difference = np.abs(after - before)
    some = bool(cells.any())
    return Part(
        name=name,
        cells=float(cells.mean()),
        error=float(difference[cells].sum() / max(difference.sum(), 1e-12)),
        before=float(before[cells].mean()) if some else 0.0,
        after=float(after[cells].mean()) if some else 0.0,
        distance=float(difference[cells].mean()) if some else 0.0,
    )


def _worst_place(
    before: np.ndarray, after: np.ndarray, centers: np.ndarray, config: MelConfig
) -> Part:
    """Return the square of some bins and frames whose mean error is largest."""
    bins, frames = before.shape
    corners = [
        (low, start)
        for low in range(0, bins, _PLACE_BINS)
        for start in range(0, max(frames - _PLACE_FRAMES, 0) + 1, _PLACE_FRAMES)
    ]
    error = np.abs(after - before)
    means = [error[y : y + _PLACE_BINS, x : x + _PLACE_FRAMES].mean() for y, x in corners]
    low, start = corners[int(np.argmax(means))]
    cells = np.zeros(before.shape, bool)
    cells[low : low + _PLACE_BINS, start : start + _PLACE_FRAMES] = True
    seconds = config.hop_length / config.sample_rate
    high = min(low + _PLACE_BINS, bins) - 1
    name = (
        f"{start * seconds:.1f} to {(start + _PLACE_FRAMES) * seconds:.1f} s, "
        f"{centers[low]:,.0f} to {centers[high]:,.0f} Hz"
    )
    return _part(name, cells, before, after)


def _mean_distance(parts: tuple[Part, ...]) -> float:
    return sum(part.cells * part.distance for part in parts)


def _place(part: Part) -> str:
    where = {
        "empty": "lies where the original is empty",
        "faint": f"lies in faint parts, over {FAINT_BELOW_DB:.0f} dB under the loudest",
        "sounding": "lies in the sound itself",
    }
    return f"{where[part.name]} ({part.cells:.0%} of the cells)"


def _direction(part: Part) -> str:
    change = part.after - part.before
    if abs(change) < _PLAIN_BIAS * part.distance:
        return f"off by {part.distance:.2f}, too loud and too quiet in turn"
    much = "too loud" if change > 0 else "too quiet"
    return (
        f"there it is {part.after:.1f} instead of {part.before:.1f}, "
        f"{abs(change) * DECIBELS:.0f} dB {much}"
    )
