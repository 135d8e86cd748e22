"""Codebook usage on grids small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bandtok.errors import GridError
from bandtok.evaluation.usage import UsageCounter, code_statistics


def test_two_bands_by_hand() -> None:
    counter = UsageCounter(codebook_size=4, num_bands=2)
    counter.add(np.array([[0, 1, 0, 1], [2, 2, 2, 2]]))
    usage = counter.usage()
    low, high = usage.bands
    assert (low.used_codes, low.used_share, low.entropy_bits) == (2, 0.5, 1.0)
    assert (high.used_codes, high.used_share, high.entropy_bits) == (1, 0.25, 0.0)
    assert usage.overall.num_tokens == 8
    assert usage.overall.used_codes == 3
    assert usage.overall.entropy_bits == pytest.approx(1.5)  # shares 1/4, 1/4, 1/2
    assert usage.overall.top_share == 0.5
    assert usage.max_entropy_bits == 2.0


def test_grid_after_grid_is_one_long_grid() -> None:
    codes = np.random.default_rng(0).integers(0, 16, (3, 40))
    whole, parts = UsageCounter(16, 3), UsageCounter(16, 3)
    whole.add(codes)
    for part in np.split(codes, [7, 25], axis=1):
        parts.add(part)
    assert whole.usage() == parts.usage()


def test_equally_frequent_codes_reach_the_maximum() -> None:
    statistics = code_statistics(np.full(64, 1000))
    assert statistics.entropy_bits == pytest.approx(6.0)
    assert statistics.corrected_entropy_bits == 6.0
    assert statistics.used_share == 1.0


def test_the_correction_moves_few_samples_towards_the_truth() -> None:
    tokens = np.random.default_rng(0).integers(0, 256, 1000)
    statistics = code_statistics(np.bincount(tokens, minlength=256))
    assert statistics.entropy_bits < statistics.corrected_entropy_bits <= 8.0
    assert 8.0 - statistics.corrected_entropy_bits < (8.0 - statistics.entropy_bits) / 3


def test_nothing_counted_gives_zeros() -> None:
    counter = UsageCounter(8, 2)
    counter.add(np.zeros((2, 0), np.int64))
    usage = counter.usage()
    assert usage.overall.num_tokens == 0
    assert usage.overall.entropy_bits == 0.0
    assert math.isfinite(usage.overall.top_share)


@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((3, 4), np.int64),
        np.zeros((2, 4), np.float32),
        np.zeros(4, np.int64),
        np.array([[0, 8], [0, 0]]),
        np.array([[0, -1], [0, 0]]),
    ],
)
def test_codes_that_do_not_fit_are_refused(codes: np.ndarray) -> None:
    with pytest.raises(GridError):
        UsageCounter(8, 2).add(codes)


def test_a_counter_needs_codes_and_bands() -> None:
    with pytest.raises(GridError, match="at least 1"):
        UsageCounter(0, 2)
