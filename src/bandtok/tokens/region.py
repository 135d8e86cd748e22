"""A rectangle of a piece, in seconds and Hz, and the cells of the token grid that it touches.

Knows nothing of networks: a grid's rows are given by the centers of their mel bins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, floor, inf, isnan

import numpy as np

from bandtok.errors import GridError
from bandtok.tokens.grid import TokenGrid

Span = tuple[float, float | None]

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_WRITTEN = re.compile(
    rf"(?P<start>{_NUMBER})?s?-(?P<end>{_NUMBER})?s?"
    rf"(?:,(?P<low>{_NUMBER})?(?:hz)?-(?P<high>{_NUMBER})?(?:hz)?)?",
    re.IGNORECASE,
)
_SLACK = 1e-6
"""Frames; so that 3 s that come to 32.0000001 frames do not touch frame 32."""


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a piece; by default all of it.

    Args:
        seconds: from and to; None is the end of the piece.
        hertz: from and to; None is the top of the spectrum.

    Raises:
        GridError: if a span is empty, inverted, negative or not a number.
    """

    seconds: Span = (0.0, None)
    hertz: Span = (0.0, None)

    def __post_init__(self) -> None:
        for unit, span in (("s", self.seconds), ("Hz", self.hertz)):
            low, high = span[0], inf if span[1] is None else span[1]
            if isnan(low) or isnan(high) or not 0 <= low < high:
                raise GridError(
                    f"got a region from {low:g} to {high:g} {unit}; expected a start of 0 or more "
                    "and an end after it"
                )

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read `START-END[s][,LOW-HIGH[Hz]]`; every number may be left out, as in "3-,2000-".

        Raises:
            GridError: if it is not of that form, or the region is none.
        """
        found = _WRITTEN.fullmatch("".join(text.split()))
        if not found:
            raise GridError(
                f"got region {text!r}; expected START-END in seconds, then ,LOW-HIGH in Hz if "
                "wanted, such as 3-6s,2000-8000Hz"
            )
        return cls(
            seconds=_span(found["start"], found["end"]), hertz=_span(found["low"], found["high"])
        )

    def cells(self, grid: TokenGrid, mel_centers_hz: np.ndarray) -> np.ndarray:
        """Return the cells that the region touches, bool [bands, frames].

        Args:
            grid: the piece; pan rows of stereo are no part of the answer.
            mel_centers_hz: center of every mel bin, lowest first, the same number for each band.

        Raises:
            GridError: if the region lies outside the piece or above its spectrum.
        """
        frames = self._frames(grid)
        edges = band_edges_hz(mel_centers_hz, grid.num_bands, grid.sample_rate / 2)
        low, high = self.hertz[0], inf if self.hertz[1] is None else self.hertz[1]
        bands = (edges[:-1] < high) & (edges[1:] > low)
        if not bands.any():
            raise GridError(
                f"got a region from {low:g} Hz; expected a start below {edges[-1]:g} Hz"
            )
        cells = np.zeros((grid.num_bands, grid.num_frames), dtype=bool)
        cells[np.ix_(bands, frames)] = True
        return cells

    def _frames(self, grid: TokenGrid) -> np.ndarray:
        start, end = self.seconds[0], inf if self.seconds[1] is None else self.seconds[1]
        if start >= grid.seconds:
            raise GridError(
                f"got a region from {start:g} s; expected a start inside the piece's "
                f"{grid.seconds:g} s"
            )
        first = floor(start * grid.frame_rate + _SLACK)
        last = ceil(min(end, grid.seconds) * grid.frame_rate - _SLACK)
        return np.arange(min(first, grid.num_frames - 1), max(last, first + 1))


def band_edges_hz(mel_centers_hz: np.ndarray, num_bands: int, top_hz: float) -> np.ndarray:
    """Return where the bands meet, half-way between the bins on either side, float [bands + 1]."""
    rows = mel_centers_hz.reshape(num_bands, -1)
    return np.concatenate(([0.0], (rows[:-1, -1] + rows[1:, 0]) / 2, [top_hz]))


def _span(low: str | None, high: str | None) -> Span:
    return (float(low or 0), None if high is None else float(high))
