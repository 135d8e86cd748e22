"""Where the mel error of one clip lies, as numbers and as one sentence.

    ln-mel before, ln-mel after -> Breakdown -> why

Cells of the original are empty (digital silence), faint (far below its loudest cell) or sounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandtok.mel import MelConfig, mel_bin_centres_hz

EMPTY_MARGIN = 0.5
FAINT_BELOW_DB = 60.0
RANGES_HZ = ((0, 500), (500, 4_000), (4_000, 15_000))
DECIBELS = 20 / np.log(10)
_TELLING_SHARE = 0.6
_PLAIN_BIAS = 0.5
_MORE, _LESS = 1.5, 0.67


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
    """The mel error by loudness of the original and by frequency; shares add up to 1."""

    loudness: tuple[Part, ...]
    frequency: tuple[Part, ...]


def break_down(
    before: np.ndarray, after: np.ndarray, config: MelConfig, below_hz: float
) -> Breakdown:
    """Divide the error of two ln-mels [n_mels, mel_frames] below `below_hz`."""
    centres = mel_bin_centres_hz(config)
    kept = centres < below_hz
    first, second = before[kept].astype(np.float64), after[kept].astype(np.float64)
    empty = first < config.silence + EMPTY_MARGIN
    faint = ~empty & (first < first.max() - FAINT_BELOW_DB / DECIBELS)
    places = {"empty": empty, "faint": faint, "sounding": ~empty & ~faint}
    rows = {
        f"{low:,} to {high:,} Hz": np.broadcast_to(
            ((centres[kept] >= low) & (centres[kept] < high))[:, None], first.shape
        )
        for low, high in RANGES_HZ
    }
    return Breakdown(
        loudness=tuple(_part(name, cells, first, second) for name, cells in places.items()),
        frequency=tuple(_part(name, cells, first, second) for name, cells in rows.items()),
    )


def why(found: Breakdown, tokens_only: float, vocoder_only: float, texture: float | None) -> str:
    """Say in a sentence what the numbers show.

    Args:
        found: where the error lies.
        tokens_only, vocoder_only: mel distance of the tokens without the vocoder, and the reverse.
        texture: liveliness over time, 1 is the original's.
    """
    worst = max(found.loudness, key=lambda part: part.error)
    said = [f"{worst.error:.0%} of the error {_place(worst)}: {_direction(worst)}"]
    band = max(found.frequency, key=lambda part: part.error / max(part.cells, 1e-9))
    if band.error > _TELLING_SHARE:
        said.append(f"{band.error:.0%} lies at {band.name} ({band.cells:.0%} of the bins)")
    if texture is not None and texture > _MORE:
        said.append(f"the output changes {texture:.1f} times as much from frame to frame")
    elif texture is not None and texture < _LESS:
        said.append(f"the output changes only {texture:.2f} times as much from frame to frame")
    said.append(f"tokens alone {tokens_only:.2f}, vocoder alone {vocoder_only:.2f}")
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
