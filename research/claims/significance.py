"""Differences between systems with intervals, and what they say of a claim, by rule.

    values by clip of two systems -> Difference;  Difference -> words

The same clips are measured on both sides, so differences are taken clip by clip, averaged over
seeds, and resampled by track. A claim holds if the interval lies wholly on its side of 0 and every
seed's mean does; nothing is said of fewer than five tracks.
"""

from __future__ import annotations

import importlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import DataError
from bandtok.evaluation.statistics import Estimate, bootstrap_mean

_LEAST_GROUPS = 5


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much larger a measure is for one system than for another.

    Attributes:
        estimate: mean and interval of the differences.
        by_seed: mean difference of each seed.
        groups: tracks, or groups of them, behind the interval.
    """

    estimate: Estimate
    by_seed: tuple[float, ...]
    groups: int

    @property
    def direction(self) -> int:
        """1 or -1 if interval and all seeds lie on that side of 0, else 0."""
        if self.groups < _LEAST_GROUPS:
            return 0
        for sign in (1, -1):
            beyond = min(sign * self.estimate.low, sign * self.estimate.high) > 0
            if beyond and all(sign * mean > 0 for mean in self.by_seed):
                return sign
        return 0


def paired_difference(
    larger: Sequence[Sequence[float]],
    smaller: Sequence[Sequence[float]],
    groups: Sequence[Hashable],
) -> Difference:
    """Return `larger` - `smaller`, measured on the same clips.

    Args:
        larger, smaller: by seed, a value for each clip; equally many everywhere.
        groups: what each clip belongs to, e.g. its track.

    Raises:
        DataError: if the numbers of seeds or clips differ.
    """
    first, second = (np.asarray(values, dtype=np.float64) for values in (larger, smaller))
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != len(groups):
        raise DataError(
            f"got values of shapes {first.shape} and {second.shape} for {len(groups)} clips; "
            "expected the same seeds and clips on both sides"
        )
    differences = first - second
    return Difference(
        estimate=bootstrap_mean(differences.mean(axis=0).tolist(), groups),
        by_seed=tuple(differences.mean(axis=1).tolist()),
        groups=len(set(groups)),
    )


def pooled(values: Sequence[Sequence[float]], groups: Sequence[Hashable]) -> Estimate:
    """Return the mean over seeds and clips; the interval is that of clips, resampled by group."""
    means = np.asarray(values, dtype=np.float64).mean(axis=0)
    return bootstrap_mean(means.tolist(), groups)


def jackknife(whole: float, left_out: Sequence[float]) -> Estimate:
    """Return a number of a whole set with an interval from the same with each part left out.

    Source: the delete-a-group jackknife, with the quantile of Student's t for so few parts. One
    part alone gives no interval: its ends lie on the number itself.
    """
    parts = np.asarray(left_out, dtype=np.float64)
    count = len(parts)
    half = 0.0
    if count > 1:
        error = float(np.sqrt((count - 1) / count * np.square(parts - parts.mean()).sum()))
        # scipy takes a second to import, and pages that only show results do without it.
        half = float(importlib.import_module("scipy.stats").t.ppf(0.975, count - 1)) * error
    return Estimate(mean=whole, low=whole - half, high=whole + half, count=count)


def combined(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean over seeds, with the mean of their half-widths.

    Seeds share what they are measured on, so the interval does not narrow with their number.
    """
    half = float(np.mean([(one.high - one.low) / 2 for one in estimates]))
    mean = float(np.mean([one.mean for one in estimates]))
    return Estimate(mean=mean, low=mean - half, high=mean + half, count=estimates[0].count)


def difference_of(first: Sequence[Estimate], second: Sequence[Estimate]) -> Difference:
    """Return first - second of estimates by seed that are not paired clip by clip."""
    one, other = combined(first), combined(second)
    half = float(np.hypot((one.high - one.low) / 2, (other.high - other.low) / 2))
    mean = one.mean - other.mean
    return Difference(
        estimate=Estimate(mean=mean, low=mean - half, high=mean + half, count=one.count),
        by_seed=tuple(a.mean - b.mean for a, b in zip(first, second, strict=True)),
        groups=one.count,
    )


def outcome(difference: Difference, claimed: int) -> str:
    """Say whether a difference is what was claimed: of sign `claimed`, 1 or -1."""
    seeds = " (one seed)" if len(difference.by_seed) == 1 else ""
    if difference.direction == claimed:
        return f"The claim holds here{seeds}"
    if difference.direction == -claimed:
        return f"The claim does not hold here, it is the other way round{seeds}"
    if difference.groups < _LEAST_GROUPS:
        return f"Not decided here: {difference.groups} tracks or groups of them are too few"
    if difference.estimate.low * difference.estimate.high > 0:
        return "Not decided here: the seeds disagree"
    return "Not decided here: the difference is within its uncertainty"


def delta(difference: Difference, digits: int = 3, unit: str = "") -> str:
    """Write a difference with interval and seeds."""
    one = difference.estimate
    seeds = ", ".join(f"{mean:+.{digits}f}" for mean in difference.by_seed)
    unit = f" {unit}" if unit else ""
    interval = f"[{one.low:+.{digits}f}, {one.high:+.{digits}f}]"
    by_seed = f"; by seed {seeds}" if len(difference.by_seed) > 1 else ""
    return f"{one.mean:+.{digits}f}{unit}, 95 % interval {interval}{by_seed}"


def cell(estimate: Estimate | None, digits: int = 3) -> str:
    """Write an estimate as a cell of a table."""
    if estimate is None:
        return "–"
    low, high = (f"{value:,.{digits}f}" for value in (estimate.low, estimate.high))
    return f"{estimate.mean:,.{digits}f} [{low}, {high}]"
