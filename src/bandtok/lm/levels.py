"""Holding levels: sampling is biased so that each band stays as loud as in a reference.

Guidance and the model's own errors accumulate from window to window, so that long pieces get
louder, brighter or silent; and what is written into a piece need not be as loud as what surrounds
it. Here the logits of codes are shifted by the level that each stands for: in proportion to how far
the mean level of the band has moved from that of the reference, and against levels far from that
mean where they spread more than in the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CodeLevels = Callable[[], np.ndarray]
SPAN_FRAMES = 48
"""Frames over which levels are measured: 4.5 s of the bundled model's music."""
_PRIOR_FRAMES = 8  # of the reference, added to what is measured
_MEAN_GAIN, _MEAN_MOST = 3.5, 3.0
_SPREAD_GAIN, _SPREAD_MOST = 1.0, 1.5
_LEAST_SPREAD = 0.1


@dataclass(frozen=True, kw_only=True)
class LevelTarget:
    """What levels are held at.

    Attributes:
        code_levels: returns the level of each code, float32 [codebook_size], as ln amplitude
            relative to that of the mean code; called when the first level is held.
        reference: bool [bands, frames], cells that are as loud as what is written should be; known
            when the first cell is written that follows them.
        first_frame: cells before this frame are sampled as they are.
        strength: 1 as by default, 0 not at all.
    """

    code_levels: CodeLevels
    reference: np.ndarray
    first_frame: int = 0
    strength: float = 1.0


class LevelHolder:
    """Biases of clips that are generated in a batch.

    Args:
        target: what levels are held at.
        written: bool [bands, frames], cells that are written.
    """

    def __init__(self, target: LevelTarget, written: np.ndarray) -> None:
        self._target, self._written = target, written
        self._frame = -1

    def bias(self, codes: np.ndarray, frame: int, band: int) -> np.ndarray | float:
        """Return what is added to the logits of a cell: float32 [clips, codebook_size], or 0.

        Args:
            codes: int64 [clips, bands, frames], known as far as they are written.
            frame, band: the cell.
        """
        if frame < self._target.first_frame:
            return 0.0
        if self._frame < 0:
            self._levels = self._target.code_levels().astype(np.float64)
            self._wanted = _moments(self._levels[codes], self._target.reference)
        if frame != self._frame:
            self._frame = frame
            self._tilt, self._squeeze = self._strengths(codes, frame)
        centered = self._levels - self._wanted[0][:, band, None]
        bias = self._tilt[:, band, None] * centered + self._squeeze[:, band, None] * centered**2
        scaled: np.ndarray = (self._target.strength * bias).astype(np.float32)
        return scaled

    def _strengths(self, codes: np.ndarray, frame: int) -> tuple[np.ndarray, np.ndarray]:
        """Return by how much levels and their squares count before a frame, [clips, bands] each."""
        first = max(frame - SPAN_FRAMES, 0)
        recent = self._written[:, first:frame]
        count = recent.sum(axis=1)
        share = count / (count + _PRIOR_FRAMES)
        mean, variance = (
            share * found + (1 - share) * wanted
            for found, wanted in zip(
                _moments(self._levels[codes[:, :, first:frame]], recent), self._wanted, strict=True
            )
        )
        tilt = _MEAN_GAIN * (self._wanted[0] - mean)
        spreads = (np.sqrt(each) + _LEAST_SPREAD for each in (self._wanted[1], variance))
        squeeze = _SPREAD_GAIN * np.log(np.divide(*spreads))
        return tilt.clip(-_MEAN_MOST, _MEAN_MOST), squeeze.clip(-_SPREAD_MOST, 0.0)


def _moments(levels: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of some cells of each band, [clips, bands] each; 0 without any."""
    weights = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    mean = (levels * weights).sum(axis=2)
    variance = (np.square(levels - mean[:, :, None]) * weights).sum(axis=2)
    return mean, variance
