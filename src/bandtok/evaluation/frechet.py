"""Frechet distance between two sets of embeddings, taken as Gaussians.

    [n, dim], [n, dim] -> distance;  0 for equal mean and covariance

Knows nothing of what was embedded. In float64, by symmetric eigenvalues, so that it is never
complex and never negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandtok.errors import DataError

MIN_SAMPLES = 50


@dataclass(frozen=True, kw_only=True)
class Frechet:
    """A distance, and how far it may be trusted.

    Attributes:
        distance: squared difference of the means plus the difference of the covariances.
        count: embeddings on either side. The distance falls as it grows, so compare distances of
            equal count only.
        dim: numbers in an embedding.
    """

    distance: float
    count: int
    dim: int

    @property
    def caveat(self) -> str:
        """What a reader has to know when there are few embeddings; empty when there are many."""
        if self.count >= 5 * self.dim:
            return ""
        return (
            f"{self.count} embeddings of {self.dim} dimensions: too few for the distance itself, "
            "good for comparison at equal count only"
        )


def frechet_distance(
    first: np.ndarray, second: np.ndarray, min_samples: int = MIN_SAMPLES
) -> Frechet:
    """Return the Frechet distance of two sets of equal size.

    Args:
        first, second: finite numbers [n, dim].
        min_samples: least n.

    Raises:
        DataError: if the sets differ in size, are too small, or hold NaN or infinity.
    """
    count = len(first)
    if first.ndim != 2 or first.shape != second.shape or not first.shape[1]:
        raise DataError(
            f"got embeddings of shapes {first.shape} and {second.shape}; expected two sets "
            "[n, dim] of equal size, as the distance depends on n"
        )
    if count < max(min_samples, 2):
        raise DataError(
            f"got {count} embeddings on either side; a Frechet distance needs at least "
            f"{max(min_samples, 2)}; use more or longer clips"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("the embeddings hold NaN or infinity; expected finite numbers")
    means, covariances = zip(*(_moments(values) for values in (first, second)), strict=True)
    root = _square_root(covariances[0])
    cross = root @ covariances[1] @ root
    overlap = np.sqrt(np.linalg.eigvalsh((cross + cross.T) / 2).clip(min=0)).sum()
    spread = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * overlap
    distance = float(np.square(means[0] - means[1]).sum() + spread)
    return Frechet(distance=max(distance, 0.0), count=count, dim=first.shape[1])


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    numbers = values.astype(np.float64)
    return numbers.mean(axis=0), np.atleast_2d(np.cov(numbers, rowvar=False))


def _square_root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root
