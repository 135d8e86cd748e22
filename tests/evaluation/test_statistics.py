"""The bootstrap interval on data whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandtok.errors import DataError
from bandtok.evaluation.statistics import bootstrap_mean


def test_normal_data_gives_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)
    estimate = bootstrap_mean(values.tolist())
    half = 1.96 * values.std() / math.sqrt(400)
    assert estimate.mean == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(estimate.mean - half, abs=0.04)
    assert estimate.high == pytest.approx(estimate.mean + half, abs=0.04)
    assert estimate.count == 400


def test_equal_values_have_no_spread() -> None:
    estimate = bootstrap_mean([0.25] * 9)
    assert (estimate.mean, estimate.low, estimate.high) == (0.25, 0.25, 0.25)


def test_copies_within_a_group_add_no_certainty() -> None:
    values = np.random.default_rng(1).normal(0, 1, 30)
    once = bootstrap_mean(values.tolist())
    copied = bootstrap_mean(np.repeat(values, 4).tolist(), groups=np.repeat(range(30), 4).tolist())
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.02)
    naive = bootstrap_mean(np.repeat(values, 4).tolist())
    assert naive.high - naive.low < 0.7 * (copied.high - copied.low)


def test_groups_of_unequal_size_keep_the_plain_mean() -> None:
    assert bootstrap_mean([1.0, 1.0, 4.0], groups=["a", "a", "b"]).mean == 2.0


def test_same_seed_same_interval() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)


@pytest.mark.parametrize(
    ("values", "groups"), [([], None), ([1.0, math.nan], None), ([1.0, 2.0], ["a"])]
)
def test_what_has_no_mean_is_refused(values: list[float], groups: list[str] | None) -> None:
    with pytest.raises(DataError):
        bootstrap_mean(values, groups)
