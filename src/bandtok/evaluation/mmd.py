"""Maximum mean discrepancy (MMD) between two sets of embeddings.

    [n, dim], [m, dim] -> squared MMD;  about 0 for two samples of one distribution

Unbiased estimate of the squared MMD with the cubic polynomial kernel of the kernel Inception
distance. Knows nothing of what was embedded.

Source: Gretton et al., JMLR 13 (2012), eqs. 3 and 4; Binkowski et al. (1801.01401).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from bandtok.errors import DataError
from bandtok.evaluation.statistics import Estimate

_RESAMPLES = 2_000
_DEGREE = 3


def polynomial_mmd(
    first: np.ndarray,
    second: np.ndarray,
    groups: Sequence[Hashable] | None = None,
    *,
    scale: float = 1.0,
    seed: int = 0,
) -> Estimate:
    """Return the unbiased squared MMD with kernel k(x, y) = (x . y / dim + 1) ** 3.

    The mean kernel over pairs of different rows within each set, minus twice the mean over pairs
    across the sets. It may be slightly negative.

    With `groups` the sets are paired: row i of `second` was made from row i of `first`. Such pairs
    are left out across the sets as well (Gretton et al., eq. 4), so that equal sets give exactly 0.

    The interval is a bootstrap over groups. Pairs of two groups are weighted by the product of
    their multiplicities and pairs within a group by its multiplicity, so that no row is ever paired
    with its own copy.

    Args:
        first: finite numbers [n, dim], n >= 2.
        second: finite numbers [m, dim], m >= 2; [n, dim] if paired.
        groups: group (for example the track) of each row of paired sets; None if the sets are
            independent, where each row is resampled for itself.
        scale: factor of the result.
        seed: of the resampling.

    Raises:
        DataError: if a set has fewer than two rows, dimensions or labels do not match, or values
            are not finite.
    """
    _check(first, second, groups)
    x, y = first.astype(np.float64), second.astype(np.float64)
    if groups is None:
        labels = (np.arange(len(x)), len(x) + np.arange(len(y)))
    else:
        index = {key: place for place, key in enumerate(dict.fromkeys(groups))}
        labels = (np.array([index[key] for key in groups]),) * 2
    size = 1 + int(max(side.max() for side in labels))
    weights = np.zeros((1 + _RESAMPLES, size))
    weights[0] = 1.0  # the sets themselves
    resampled = np.random.default_rng(seed).integers(0, size, (_RESAMPLES, size))
    np.add.at(weights, (1 + np.arange(_RESAMPLES)[:, None], resampled), 1.0)
    members = [np.eye(size)[side] for side in labels]

    def mean_kernel(left: int, right: int, *, all_pairs: bool) -> np.ndarray:
        kernel = ((x, y)[left] @ (x, y)[right].T / x.shape[1] + 1) ** _DEGREE
        pairs = np.ones_like(kernel) if all_pairs else 1.0 - np.eye(len(kernel))
        return _weighted_mean(kernel, pairs, members[left].T, members[right], weights)

    values = scale * (
        mean_kernel(0, 0, all_pairs=False)
        + mean_kernel(1, 1, all_pairs=False)
        - 2 * mean_kernel(0, 1, all_pairs=groups is None)
    )
    defined = values[np.isfinite(values)]
    low, high = np.quantile(defined[1:] if len(defined) > 1 else defined, [0.025, 0.975])
    return Estimate(mean=float(values[0]), low=float(low), high=float(high), count=len(y))


def _weighted_mean(
    kernel: np.ndarray, pairs: np.ndarray, left: np.ndarray, right: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the mean kernel over `pairs` under each row of group weights, [1 + resamples]."""
    total = _pair_sum(left @ (kernel * pairs) @ right, weights)
    count = _pair_sum(left @ pairs @ right, weights)
    with np.errstate(divide="ignore", invalid="ignore"):  # a resample may hold no pair at all
        result: np.ndarray = total / count
        return result


def _pair_sum(by_group: np.ndarray, weights: np.ndarray) -> np.ndarray:
    between = ((weights @ by_group) * weights).sum(axis=1)
    result: np.ndarray = between + (weights - weights**2) @ np.diagonal(by_group)
    return result


def _check(first: np.ndarray, second: np.ndarray, groups: Sequence[Hashable] | None) -> None:
    shapes = f"shapes {first.shape} and {second.shape}"
    if first.ndim != 2 or second.ndim != 2 or first.shape[1:] != second.shape[1:]:
        raise DataError(f"got embeddings of {shapes}; expected [n, dim] and [m, dim]")
    if min(len(first), len(second)) < 2 or not first.shape[1]:
        raise DataError(
            f"got embeddings of {shapes}; MMD needs at least two in each set; use more clips"
        )
    if groups is not None and not len(groups) == len(first) == len(second):
        raise DataError(
            f"got {len(groups)} group labels for paired embeddings of {shapes}; "
            "expected two sets of equal size and one label per pair"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise DataError("the embeddings hold NaN or infinity; expected finite numbers")
