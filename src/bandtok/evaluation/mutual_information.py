"""Normalized mutual information between the rows of a token grid.

    codes [rows, frames] of several pieces -> NMI of each row, and of independent rows

For two rows X and Y of codes, seen together n times,

    NMI(X, Y) = 2 I(X; Y) / (H(X) + H(Y)),      I(X; Y) = H(X) + H(Y) - H(X, Y)

with plug-in entropies, those of the shares counted; 0 if both rows are constant. (Divided by the
geometric mean of the entropies it would be the same wherever they are equal, else a little more.)
Two profiles are made of it, each a number for each row k:

- others: the mean of NMI(row k, row j) over all other rows j of the same frame;
- before: NMI(row k, row k one frame earlier in the same piece).

Both are taken at the same n frames, those that have a frame before them. Plug-in NMI is far above 0
even for independent rows unless n is many times the number of pairs of codes, so three numbers are
given: raw; floor, the same of rows each shuffled in time, which keeps every H; and corrected,
(raw - floor) / (1 - floor), which is 1 for rows that determine each other and 0 on average for
independent ones. The floor overstates the bias of rows that depend on each other, so between the
two the corrected value errs towards 0. All three depend on n: compare systems at equal n only.
Only pairs that occur are counted; no table of all pairs is made. Knows nothing of networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import DataError, GridError


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """Normalized mutual information of one row, as measured and freed of its bias.

    Attributes:
        raw: plug-in, in [0, 1].
        floor: the same of shuffled rows.
        corrected: (raw - floor) / (1 - floor); 0 if the floor is 1 (no code occurs twice).
    """

    raw: float
    floor: float
    corrected: float


@dataclass(frozen=True, kw_only=True)
class RowDependence:
    """Mutual information of one row with other tokens.

    Attributes:
        others: mean over the other rows of the same frame; None in a grid of one row.
        before: the same row one frame earlier.
    """

    others: Dependence | None
    before: Dependence


@dataclass(frozen=True, kw_only=True)
class TokenDependence:
    """The profiles, and what they were taken from.

    Attributes:
        num_frames: frames that were counted, n.
        seed: of the choice of frames and of the shuffling.
        rows: by row of the grid.
        others: mean over rows of their `others`; None in a grid of one row.
        before: mean over rows of their `before`.
        pairs: corrected NMI of rows j and k of the same frame at [j][k]; 1 on the diagonal.
    """

    num_frames: int
    seed: int
    rows: tuple[RowDependence, ...]
    others: Dependence | None
    before: Dependence
    pairs: tuple[tuple[float, ...], ...]


def token_dependence(
    grids: Sequence[np.ndarray], max_frames: int | None = None, seed: int = 0
) -> TokenDependence:
    """Measure the mutual information between rows.

    Args:
        grids: int [rows, frames] of each piece, codes 0 or more.
        max_frames: count exactly this many frames, sampled at random; None counts all that have a
            frame before them.
        seed: of that choice and of the shuffling.

    Raises:
        GridError: if there is no grid, or the grids differ in rows or are no grids of codes.
        DataError: if there are fewer frames than requested, or fewer than two.
    """
    now, before = _frames_with_the_one_before(grids)
    rng = np.random.default_rng(seed)
    now, before = _subsampled(now, before, max_frames, rng)
    shuffled, shuffled_before = rng.permuted(now, axis=1), rng.permuted(before, axis=1)
    raw, floor = _among_rows(now), _among_rows(shuffled)
    corrected = _corrected(raw, floor)
    raw_before = _with_before(now, before)
    floor_before = _with_before(now, shuffled_before)
    corrected_before = _corrected(raw_before, floor_before)
    others = [_mean_of_others(k, raw, floor, corrected) for k in range(len(now))]
    befores = [
        Dependence(raw=float(a), floor=float(b), corrected=float(c))
        for a, b, c in zip(raw_before, floor_before, corrected_before, strict=True)
    ]
    known = [row for row in others if row is not None]
    return TokenDependence(
        num_frames=now.shape[1],
        seed=seed,
        rows=tuple(
            RowDependence(others=other, before=past)
            for other, past in zip(others, befores, strict=True)
        ),
        others=_mean(known) if known else None,
        before=_mean(befores),
        pairs=tuple(tuple(row) for row in corrected.tolist()),
    )


def normalized_information(first: np.ndarray, second: np.ndarray) -> float:
    """Return the plug-in NMI of two rows of codes, int [n] each; see the head of this module."""
    return _nmi(_entropy(first), _entropy(second), _joint_entropy(first, second))


def _frames_with_the_one_before(grids: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    arrays = [np.asarray(grid) for grid in grids]
    shapes = {grid.shape[0] if grid.ndim == 2 else None for grid in arrays}
    integers = all(grid.dtype.kind in "iu" and not (grid < 0).any() for grid in arrays)
    if len(shapes) != 1 or None in shapes or 0 in shapes or not integers:
        raise GridError(
            f"got grids of shapes {[grid.shape for grid in arrays][:4]}; expected at least one, "
            "all codes of 0 or more [rows, frames] with the same rows"
        )
    now = np.concatenate([grid[:, 1:] for grid in arrays], axis=1)
    before = np.concatenate([grid[:, :-1] for grid in arrays], axis=1)
    return now.astype(np.int64), before.astype(np.int64)


def _subsampled(
    now: np.ndarray, before: np.ndarray, max_frames: int | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    found = now.shape[1]
    wanted = found if max_frames is None else max_frames
    if wanted < 2 or found < wanted:
        raise DataError(
            f"got {found} frames with a frame before them; expected at least {max(wanted, 2)}, "
            "from more music or a smaller number of frames"
        )
    if wanted == found:
        return now, before
    chosen = np.sort(rng.choice(found, wanted, replace=False))
    return now[:, chosen], before[:, chosen]


def _among_rows(rows: np.ndarray) -> np.ndarray:
    """Return the NMI of every two rows, float64 [rows, rows], 1 on the diagonal."""
    entropies = [_entropy(row) for row in rows]
    found = np.eye(len(rows))
    for j in range(len(rows)):
        for k in range(j):
            together = _joint_entropy(rows[j], rows[k])
            found[j, k] = found[k, j] = _nmi(entropies[j], entropies[k], together)
    return found


def _with_before(now: np.ndarray, before: np.ndarray) -> np.ndarray:
    return np.array([normalized_information(*pair) for pair in zip(now, before, strict=True)])


def _nmi(first: float, second: float, together: float) -> float:
    if first + second <= 0:
        return 0.0
    return min(max(2 * (first + second - together) / (first + second), 0.0), 1.0)


def _entropy(codes: np.ndarray) -> float:
    """Return the plug-in entropy in nats."""
    counts = np.unique(codes, return_counts=True)[1]
    return float(np.log(len(codes)) - (counts * np.log(counts)).sum() / len(codes))


def _joint_entropy(first: np.ndarray, second: np.ndarray) -> float:
    return _entropy(first * (int(second.max()) + 1) + second)


def _corrected(raw: np.ndarray, floor: np.ndarray) -> np.ndarray:
    room = 1 - floor
    found = np.where(room > 1e-9, (raw - floor) / np.maximum(room, 1e-9), 0.0)
    if found.ndim == 2:
        np.fill_diagonal(found, 1.0)
    return found


def _mean_of_others(
    row: int, raw: np.ndarray, floor: np.ndarray, corrected: np.ndarray
) -> Dependence | None:
    if len(raw) == 1:
        return None
    means = [float(np.delete(table[row], row).mean()) for table in (raw, floor, corrected)]
    return Dependence(raw=means[0], floor=means[1], corrected=means[2])


def _mean(rows: Sequence[Dependence]) -> Dependence:
    return Dependence(
        raw=float(np.mean([row.raw for row in rows])),
        floor=float(np.mean([row.floor for row in rows])),
        corrected=float(np.mean([row.corrected for row in rows])),
    )
