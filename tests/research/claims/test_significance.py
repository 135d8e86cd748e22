"""What differences say of a claim, on numbers whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandtok.errors import DataError
from bandtok.evaluation.statistics import Estimate
from research.claims.significance import (
    cell,
    combined,
    delta,
    difference_of,
    jackknife,
    outcome,
    paired_difference,
    pooled,
)

TRACKS = [f"track {number}" for number in range(8)]


def values(level: float, seed: int) -> list[float]:
    """Values that differ between clips far more than systems do."""
    clips = np.arange(8) * 10.0
    noise = np.random.default_rng(seed).normal(0, 0.01, 8)
    return (clips + level + noise).tolist()


def test_a_small_difference_on_very_different_clips_is_found() -> None:
    found = paired_difference(
        [values(0.0, 1), values(0.0, 2)], [values(0.5, 3), values(0.5, 4)], TRACKS
    )
    assert found.estimate.mean == pytest.approx(-0.5, abs=0.02)
    assert found.estimate.high < -0.45
    assert found.direction == -1
    assert outcome(found, -1) == "The claim holds here"
    assert "other way round" in outcome(found, 1)
    assert delta(found).startswith(f"{found.estimate.mean:+.3f}, 95 % interval [")
    assert "by seed" in delta(found)


def test_seeds_that_disagree_decide_nothing() -> None:
    found = paired_difference(
        [values(0.0, 1), values(2.0, 2)], [values(0.5, 3), values(1.9, 4)], TRACKS
    )
    assert np.sign(found.by_seed).tolist() == [-1.0, 1.0]
    assert found.estimate.high < 0
    assert outcome(found, -1) == "Not decided here: the seeds disagree"


def test_one_seed_is_said_so() -> None:
    found = paired_difference([values(0.0, 1)], [values(0.5, 3)], TRACKS)
    assert outcome(found, -1) == "The claim holds here (one seed)"


def test_few_tracks_decide_nothing_however_many_clips() -> None:
    tracks = ["one", "two"] * 4
    found = paired_difference([values(0.0, 1)], [values(0.5, 3)], tracks)
    assert found.direction == 0
    assert outcome(found, -1) == "Not decided here: 2 tracks or groups of them are too few"


def test_equal_systems_are_not_told_apart() -> None:
    found = paired_difference([values(0.0, 1)], [values(0.0, 2)], TRACKS)
    assert outcome(found, -1).startswith("Not decided")


def test_other_clips_are_refused() -> None:
    with pytest.raises(DataError, match="same seeds and clips"):
        paired_difference([[1.0, 2.0]], [[1.0]], ["a", "b"])


def test_pooling_averages_seeds_before_clips() -> None:
    found = pooled([[1.0, 3.0], [3.0, 5.0]], ["a", "b"])
    assert (found.mean, found.low, found.high, found.count) == (3.0, 2.0, 4.0, 2)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    numbers = np.random.default_rng(0).normal(size=20)
    left_out = [float(np.delete(numbers, index).mean()) for index in range(20)]
    found = jackknife(float(numbers.mean()), left_out)
    error = numbers.std(ddof=1) / math.sqrt(20)
    assert found.high - found.mean == pytest.approx(2.093 * error, rel=1e-3)  # t of 19


def test_unpaired_half_widths_add_as_squares() -> None:
    first = [Estimate(mean=5.0, low=2.0, high=8.0, count=9)]
    second = [Estimate(mean=1.0, low=-3.0, high=5.0, count=9)]
    found = difference_of(first, second)
    assert (found.estimate.mean, found.estimate.low, found.estimate.high) == (4.0, -1.0, 9.0)
    assert found.by_seed == (4.0,)


def test_seeds_on_the_same_tracks_do_not_narrow_an_interval() -> None:
    one, other = (Estimate(mean=m, low=m - 3, high=m + 3, count=9) for m in (5.0, 7.0))
    assert combined([one, other]) == Estimate(mean=6.0, low=3.0, high=9.0, count=9)


def test_cells() -> None:
    assert (
        cell(Estimate(mean=1234.5, low=1200.0, high=1300.0, count=2), 0) == "1,234 [1,200, 1,300]"
    )
    assert cell(None) == "–"
