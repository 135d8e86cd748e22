"""A list of numbers to a mean with a bootstrap interval. Knows nothing of what they measure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import DataError

_RESAMPLES = 2_000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean and the interval that holds 95 % of its bootstrap resamples."""

    mean: float
    low: float
    high: float
    count: int


def bootstrap_mean(
    values: Sequence[float], groups: Sequence[Hashable] | None = None, seed: int = 0
) -> Estimate:
    """Estimate a mean; whole groups are resampled, as clips of one track are not independent.

    Args:
        values: finite numbers.
        groups: what each value belongs to, e.g. its track; None makes each its own group.
        seed: of the resampling.

    Raises:
        DataError: if there are no values, some are not finite, or the lengths differ.
    """
    data = np.asarray(values, dtype=np.float64)
    keys = list(range(len(data))) if groups is None else list(groups)
    if not len(data) or not np.isfinite(data).all() or len(keys) != len(data):
        raise DataError(
            f"got {len(data)} values ({int(np.isfinite(data).sum())} finite) and {len(keys)} "
            "groups; expected at least one value, all finite, and a group for each"
        )
    index = {key: position for position, key in enumerate(dict.fromkeys(keys))}
    members = np.array([index[key] for key in keys])
    sums = np.bincount(members, weights=data)
    sizes = np.bincount(members)
    sampled = np.random.default_rng(seed).integers(0, len(index), (_RESAMPLES, len(index)))
    means = sums[sampled].sum(axis=1) / sizes[sampled].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(mean=float(data.mean()), low=float(low), high=float(high), count=len(data))
