"""Effect of wrong tokens: some tokens of one frame are replaced, and the ln-mels compared.

    decoder, codes [rows, frames] of several pieces -> damage by what was replaced, and its place

At places sampled at random, tokens of one frame are replaced by other codes that their rows use, as
often as they use them; all cases at a place share one such column of codes. The damage is the
absolute difference of the two decoded ln-mels. Rows may be bands (row k is decoded to the k-th
stripe of the mel) or anything else, such as the layers of a residual code; for the latter bands
are left out. Knows the decoder as a function only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import DataError, GridError
from bandtok.evaluation.statistics import Estimate, bootstrap_mean
from research.analysis.token_corruption import WrongCodes

Progress = Callable[[int, int], None]
MelDecoder = Callable[[np.ndarray], np.ndarray]
"""int64 [rows, frames] -> ln-mel float [n_mels, a whole number of mel frames for each frame]"""

_AUDIBLE = 1e-4  # ln-mel; less is rounding
_CONTEXT_FRAMES = 24


@dataclass(frozen=True, kw_only=True)
class SpreadCase:
    """What happens if certain rows of a frame are wrong.

    Shares are of all damage, summed over places; earlier, same_frame and later add up to 1, as do
    own_bands and other_bands. All are 0 if there was no damage.

    Attributes:
        rows: those replaced.
        damage: sum over all frames of the mean absolute ln-mel difference of a frame; interval over
            pieces. 1 means: as much as one whole frame that is wrong by 1.
        earlier, same_frame, later: share in frames before, at and after the one replaced.
        own: share in the cells of the replaced tokens; None if rows are no bands.
        own_bands: share in the bands of the replaced rows, at any time; None if rows are no bands.
        other_bands: share in all other bands; None if rows are no bands.
        first_frame, last_frame: from where to where damage was found, in frames from the one
            replaced; both 0 if there was none.
        by_offset: share at each frame from -context_frames to context_frames.
    """

    rows: tuple[int, ...]
    damage: Estimate
    earlier: float
    same_frame: float
    later: float
    own: float | None
    own_bands: float | None
    other_bands: float | None
    first_frame: int
    last_frame: int
    by_offset: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ErrorSpread:
    """Damage by case.

    Attributes:
        num_places: frames in which tokens were replaced.
        seed: of places and codes.
        context_frames: frames decoded on either side, within the piece.
        single: one row replaced, by row.
        first: the first k rows replaced, for k of 2, 4, 8, ... and all rows.
    """

    num_places: int
    seed: int
    context_frames: int
    single: tuple[SpreadCase, ...]
    first: tuple[SpreadCase, ...]


def error_spread(
    decode: MelDecoder,
    grids: Sequence[np.ndarray],
    codebook_size: int,
    *,
    num_places: int = 16,
    context_frames: int = _CONTEXT_FRAMES,
    rows_are_bands: bool = True,
    num_single: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> ErrorSpread:
    """Replace tokens at random places and measure the damage.

    Args:
        decode: codes to ln-mel; called on `num_places` x (2 rows or fewer) short pieces.
        grids: int [rows, frames] of each piece.
        codebook_size: codes there are, at least 2.
        num_places: frames in which tokens are replaced, sampled evenly from all.
        context_frames: frames decoded on either side; more than the decoder reaches.
        rows_are_bands: whether row k is decoded to the k-th of equal stripes of the mel.
        num_single: replace only the first so many rows one by one; None means every row.
        seed: of places and codes.
        progress: called with (places done, in all).

    Raises:
        GridError: if the codebook has one code, or the mel cannot be cut into rows and frames.
        DataError: if there is no frame, or no place is requested.
    """
    wrong = WrongCodes(grids, codebook_size)
    lengths = np.array([grid.shape[1] for grid in grids], dtype=np.int64)
    if num_places < 1 or not lengths.sum():
        raise DataError(
            f"got {num_places} places in {lengths.sum()} frames; expected at least one of each"
        )
    rng = np.random.default_rng(seed)
    num_rows = grids[0].shape[0]
    single = num_rows if num_single is None else min(num_single, num_rows)
    cases = [(row,) for row in range(single)] + _first_rows(num_rows)
    maps, pieces = [], []
    for done in range(1, num_places + 1):
        piece, frame = _place(lengths, rng)
        start = max(frame - context_frames, 0)
        codes = grids[piece][:, start : frame + context_frames + 1].astype(np.int64)
        column = wrong.column(codes[:, frame - start], rng)
        around = _Place(codes=codes, frame=frame - start, column=column)
        bands = num_rows if rows_are_bands else 1
        maps.append(_damage_maps(decode, around, cases, bands, context_frames))
        pieces.append(piece)
        if progress:
            progress(done, num_places)
    by_case = np.stack(maps, axis=1)
    found = [
        _summary(rows, case, pieces, rows_are_bands)
        for rows, case in zip(cases, by_case, strict=True)
    ]
    return ErrorSpread(
        num_places=num_places,
        seed=seed,
        context_frames=context_frames,
        single=tuple(found[:single]),
        first=tuple(found[single:]),
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A short piece, the frame of it that is replaced, and by what, int64 [rows]."""

    codes: np.ndarray
    frame: int
    column: np.ndarray


def _first_rows(num_rows: int) -> list[tuple[int, ...]]:
    counts = [1 << power for power in range(1, num_rows.bit_length()) if 1 << power < num_rows]
    counts += [num_rows] if num_rows > 1 else []
    return [tuple(range(count)) for count in counts]


def _place(lengths: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    index = int(rng.integers(lengths.sum()))
    ends = np.cumsum(lengths)
    piece = int(np.searchsorted(ends, index, side="right"))
    return piece, index - int(ends[piece] - lengths[piece])


def _damage_maps(
    decode: MelDecoder,
    place: _Place,
    cases: Sequence[tuple[int, ...]],
    bands: int,
    context_frames: int,
) -> np.ndarray:
    """Return the mean ln-mel difference of each cell, float64 [cases, bands, offsets]."""
    whole = _decoded(decode, place.codes)
    found = np.zeros((len(cases), bands, 2 * context_frames + 1))
    frames = place.codes.shape[1]
    first = context_frames - place.frame
    for case, rows in enumerate(cases):
        damaged = place.codes.copy()
        damaged[list(rows), place.frame] = place.column[list(rows)]
        difference = np.abs(_decoded(decode, damaged) - whole)
        difference[difference < _AUDIBLE] = 0
        found[case, :, first : first + frames] = _cells(difference, bands, frames)
    return found


def _decoded(decode: MelDecoder, codes: np.ndarray) -> np.ndarray:
    return decode(codes).astype(np.float64)


def _cells(image: np.ndarray, bands: int, frames: int) -> np.ndarray:
    """Return the mean of each cell of an image [n_mels, mel_frames], [bands, frames]."""
    if image.ndim != 2 or image.shape[0] % bands or image.shape[1] % frames:
        raise GridError(
            f"got a decoded mel of shape {image.shape}; expected multiples of {bands} bands and "
            f"{frames} frames"
        )
    height, width = image.shape[0] // bands, image.shape[1] // frames
    cells: np.ndarray = image.reshape(bands, height, frames, width).mean(axis=(1, 3))
    return cells


def _summary(
    rows: tuple[int, ...], maps: np.ndarray, pieces: Sequence[int], rows_are_bands: bool
) -> SpreadCase:
    """Sum up one case: maps [places, bands, offsets]."""
    total = maps.sum(axis=0)
    shares = total / total.sum() if total.any() else total
    by_offset = shares.sum(axis=0)
    middle = len(by_offset) // 2
    affected = np.flatnonzero(by_offset) - middle
    own = own_bands = None
    if rows_are_bands:
        own = float(shares[list(rows), middle].sum())
        own_bands = float(shares[list(rows)].sum())
    return SpreadCase(
        rows=rows,
        damage=bootstrap_mean(maps.mean(axis=1).sum(axis=1).tolist(), pieces),
        earlier=float(by_offset[:middle].sum()),
        same_frame=float(by_offset[middle]),
        later=float(by_offset[middle + 1 :].sum()),
        own=own,
        own_bands=own_bands,
        other_bands=None if own_bands is None else float(shares.sum()) - own_bands,
        first_frame=int(affected[0]) if len(affected) else 0,
        last_frame=int(affected[-1]) if len(affected) else 0,
        by_offset=tuple(by_offset.tolist()),
    )
