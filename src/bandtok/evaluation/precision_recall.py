"""How two sets of embeddings cover one another, by nearest neighbors; how varied one set is.

    real [n, dim], made [m, dim] -> precision, recall, density, coverage

Source: Naeem et al. 2020 (arXiv 2002.09797). Knows nothing of what was embedded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandtok.errors import DataError

NEAREST = 5


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Shares, all 1 at best but for density, which may be greater.

    A ball around a point reaches to its k-th neighbor in its own set.

    Attributes:
        precision: made ones that lie in some ball of a real one.
        recall: real ones that lie in some ball of a made one.
        density: balls of real ones that a made one lies in, over k: robust against outliers.
        coverage: real ones whose ball holds a made one.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def coverage(real: np.ndarray, made: np.ndarray, nearest: int = NEAREST) -> Coverage:
    """Compare two sets.

    Args:
        real, made: [n, dim] and [m, dim].
        nearest: k.

    Raises:
        DataError: if either set has no more than k points, or the dimensions differ.
    """
    if real.shape[1:] != made.shape[1:] or min(len(real), len(made)) <= nearest:
        raise DataError(
            f"got embeddings of shapes {real.shape} and {made.shape}; expected more than "
            f"{nearest} of the same dimension on either side"
        )
    between = distances(real, made)
    real_radii, made_radii = (_radii(points, nearest) for points in (real, made))
    in_real = between <= real_radii[:, None]
    return Coverage(
        precision=float(in_real.any(axis=0).mean()),
        recall=float((between <= made_radii[None]).any(axis=1).mean()),
        density=float(in_real.sum(axis=0).mean() / nearest),
        coverage=float((between.min(axis=1) <= real_radii).mean()),
    )


def diversity(points: np.ndarray) -> float:
    """Return the mean distance between two different points of a set [n, dim], n at least 2.

    Raises:
        DataError: if there are fewer.
    """
    if len(points) < 2:
        raise DataError(f"got {len(points)} embeddings; diversity needs at least 2")
    return float(distances(points, points).sum() / (len(points) * (len(points) - 1)))


def distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Euclidean distances float64 [n, m]; of a point to itself exactly 0."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)[None] - 2 * a @ b.T
    result: np.ndarray = np.sqrt(squares.clip(min=0))
    if first is second:
        np.fill_diagonal(result, 0.0)
    return result


def _radii(points: np.ndarray, nearest: int) -> np.ndarray:
    # The nearest of all is the point itself.
    return np.partition(distances(points, points), nearest, axis=1)[:, nearest]
