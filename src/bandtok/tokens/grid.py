"""The token grid, bands x frames: what a tokenizer writes and a language model continues.

Band 0 holds the lowest frequencies. Knows nothing of networks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, floor, log2
from typing import Any

import numpy as np

from bandtok.errors import GridError
from bandtok.tokens import token_file
from bandtok.tokens.grid_picture import grid_html
from bandtok.tokens.token_header import PAN_BITS, pan_row_count

_JOINED_FIELDS = (
    *("num_rows", "pan_bands", "codebook_size", "sample_rate", "samples_per_frame"),
    "fingerprint",
)


@dataclass(frozen=True, kw_only=True)
class TokenGrid:
    """A piece of music as a grid of tokens.

    Args:
        codes: int [bands, frames], each in [0, codebook_size); pan rows of stereo come last.
        codebook_size: number of entries of the shared codebook.
        sample_rate: Hz of the audio the grid stands for.
        samples_per_frame: audio samples covered by one token frame.
        num_samples: length of the original in samples at `sample_rate`; None means whole frames.
        model_id: name of the tokenizer that made it.
        fingerprint: hash over that tokenizer's config and weights.
        pan_bands: 0 for mono; for stereo, the rows of sound below the pan rows, which say how the
            two channels relate (docs/token-file.md).

    Raises:
        GridError: if shape, type, range or length do not fit.
    """

    codes: np.ndarray
    codebook_size: int
    sample_rate: int = 44_100
    samples_per_frame: int = 4096
    num_samples: int | None = None
    model_id: str = ""
    fingerprint: str = ""
    extra: dict[str, object] = field(default_factory=dict)
    pan_bands: int = 0

    def __post_init__(self) -> None:
        codes = np.asarray(self.codes)
        if codes.ndim != 2 or codes.dtype.kind not in "iu":
            raise GridError(
                f"got codes of shape {codes.shape} and type {codes.dtype}; "
                "expected integers [bands, frames]"
            )
        if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < self.codebook_size:
            raise GridError(
                f"got codes from {codes.min()} to {codes.max()}; "
                f"expected 0 to {self.codebook_size - 1}"
            )
        self._check_rows(codes.shape[0])
        whole = codes.shape[1] * self.samples_per_frame
        samples = whole if self.num_samples is None else self.num_samples
        if not whole - self.samples_per_frame < samples <= whole:
            raise GridError(
                f"got {samples} samples for {codes.shape[1]} frames of {self.samples_per_frame}; "
                f"expected {max(whole - self.samples_per_frame + 1, 0)} to {whole}"
            )
        object.__setattr__(self, "codes", np.ascontiguousarray(codes, dtype=np.int32))
        object.__setattr__(self, "num_samples", samples)

    def __repr__(self) -> str:
        rows = f"{self.num_bands} bands"
        if self.pan_bands:
            rows += f" + {self.num_rows - self.num_bands} pan rows"
        model = f", {self.model_id}" if self.model_id else ""
        return (
            f"TokenGrid({rows} x {self.num_frames} frames, {self.seconds:.1f} s, "
            f"{self.bit_rate_bps / 1000:.2f} kbit/s{model})"
        )

    def _repr_html_(self) -> str:
        """Return a picture for notebooks, lowest band at the bottom."""
        return grid_html(self)

    def _check_rows(self, rows: int) -> None:
        pan_rows = pan_row_count(self.pan_bands, self.codebook_size)
        if self.pan_bands and (not pan_rows or rows != self.pan_bands + pan_rows):
            raise GridError(
                f"got {rows} rows with pan_bands {self.pan_bands} at {self.codebook_size} entries; "
                f"expected {self.pan_bands + pan_rows} rows and at least {1 << PAN_BITS} entries"
            )

    @property
    def num_bands(self) -> int:
        """Rows that hold sound: all but the pan rows of stereo."""
        return self.pan_bands or self.num_rows

    @property
    def num_rows(self) -> int:
        """All rows: tokens in a frame."""
        return int(self.codes.shape[0])

    @property
    def channels(self) -> int:
        """Channels that the grid decodes to."""
        return 2 if self.pan_bands else 1

    @property
    def num_frames(self) -> int:
        return int(self.codes.shape[1])

    @property
    def frame_rate(self) -> float:
        """Token frames per second."""
        return float(Fraction(self.sample_rate, self.samples_per_frame))

    @property
    def seconds(self) -> float:
        assert self.num_samples is not None
        return self.num_samples / self.sample_rate

    @property
    def bit_rate_bps(self) -> float:
        """Bits per second at log2(codebook_size) bits per token."""
        return self.num_rows * self.frame_rate * log2(self.codebook_size)

    def mono(self) -> TokenGrid:
        """Return the rows of sound as a mono grid: what encoding in mono would have given."""
        return replace(self, codes=self.codes[: self.num_bands], pan_bands=0)

    def whole_frames(self) -> TokenGrid:
        """Return the grid without a last frame that is partly filled up with silence."""
        assert self.num_samples is not None
        return self.part(0, self.num_samples // self.samples_per_frame)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.num_frames

    def __bool__(self) -> bool:
        """Return True: a grid of no frames is a grid."""
        return True

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return the codes, int32 [rows, frames]."""
        return np.array(self.codes, dtype=dtype, copy=copy)

    def __getitem__(self, index: slice | tuple[slice, slice]) -> TokenGrid:
        """Return a range of frames, `grid[10:20]` or `grid[:, 10:20]`; all rows belong together.

        Raises:
            GridError: if it is not a range of frames in steps of 1.
        """
        rows, frames = (
            index if isinstance(index, tuple) and len(index) == 2 else (slice(None), index)
        )
        if rows != slice(None) or not isinstance(frames, slice) or frames.step not in (None, 1):
            raise GridError(f"got grid[{index}]; expected a range of frames such as grid[:, 10:20]")
        first, last, _ = frames.indices(self.num_frames)
        return self.part(first, max(first, last))

    def part(self, first: int, last: int) -> TokenGrid:
        """Return frames `first` to `last` - 1 as a grid of its own.

        Raises:
            GridError: if they are not all in this grid.
        """
        if not 0 <= first <= last <= self.num_frames:
            raise GridError(
                f"got frames {first} to {last}; expected a range inside 0 to {self.num_frames}"
            )
        to_the_end = last == self.num_frames and last > first
        assert self.num_samples is not None
        samples = self.num_samples - first * self.samples_per_frame if to_the_end else None
        return replace(self, codes=self.codes[:, first:last], num_samples=samples)

    def cut(self, start_seconds: float = 0.0, end_seconds: float | None = None) -> TokenGrid:
        """Return the frames that a time range touches; None is the end.

        Raises:
            GridError: if the range is empty or begins outside the grid.
        """
        end = self.seconds if end_seconds is None else min(end_seconds, self.seconds)
        if not 0 <= start_seconds < end:
            raise GridError(
                f"got a range from {start_seconds:g} to {end:g} s; expected a start inside the "
                f"grid's {self.seconds:g} s and an end after it"
            )
        rate = self.frame_rate
        return self.part(floor(start_seconds * rate + 1e-6), ceil(end * rate - 1e-6))

    def __add__(self, other: TokenGrid) -> TokenGrid:
        """Return both grids one after the other; a partial last frame of the first becomes whole.

        Raises:
            GridError: if rows, codebook, rate or tokenizer differ.
        """
        if not isinstance(other, TokenGrid):
            return NotImplemented
        for name in _JOINED_FIELDS:
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                raise GridError(f"got grids with {name} {ours!r} and {theirs!r}; expected equal")
        assert other.num_samples is not None
        return replace(
            self,
            codes=np.concatenate([self.codes, other.codes], axis=1),
            num_samples=self.num_frames * self.samples_per_frame + other.num_samples,
            extra=other.extra | self.extra,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .btk file, atomically."""
        token_file.write_token_file(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TokenGrid:
        """Read a .btk file; raises a TokenFileError that says what is wrong with it."""
        return token_file.read_token_file(path)
