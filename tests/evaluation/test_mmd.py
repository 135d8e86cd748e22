"""MMD: zero for equal sets, near zero for one distribution, positive for two."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import DataError
from bandtok.evaluation.mmd import polynomial_mmd


def gaussian(seed: int, count: int = 200, mean: float = 0.0, spread: float = 1.0) -> np.ndarray:
    return mean + spread * np.random.default_rng(seed).standard_normal((count, 8))


def test_two_samples_of_one_gaussian_are_near_zero() -> None:
    found = polynomial_mmd(gaussian(0), gaussian(1))
    assert abs(found.mean) < 0.05
    assert found.low < 0 < found.high
    assert found.count == 200


def test_it_is_unbiased() -> None:
    values = [polynomial_mmd(gaussian(n, 20), gaussian(1_000 + n, 30)).mean for n in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


@pytest.mark.parametrize(("mean", "spread"), [(1.0, 1.0), (0.0, 2.0)])
def test_two_different_gaussians_are_clearly_apart(mean: float, spread: float) -> None:
    found = polynomial_mmd(gaussian(0), gaussian(1, mean=mean, spread=spread))
    assert found.low > 0.2


def test_the_kernel_is_the_cubic_polynomial() -> None:
    first, second = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 0.0]])
    # k within: (0 / 2 + 1)^3 = 1 and (2 / 2 + 1)^3 = 8; across: 1.5^3, 2^3, 2^3, 1.
    assert polynomial_mmd(first, second).mean == pytest.approx(1 + 8 - 2 * (3.375 + 17) / 4)
    paired = polynomial_mmd(first, second, ["a", "b"])
    assert paired.mean == pytest.approx(1 + 8 - 2 * (8 + 8) / 2)
    assert polynomial_mmd(first, second, scale=10).mean == pytest.approx(10 * (9 - 10.1875))


def test_equal_paired_sets_are_at_zero() -> None:
    values = gaussian(0, 12)
    found = polynomial_mmd(values, values, [n // 3 for n in range(12)])
    assert (found.mean, found.low, found.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


def test_the_interval_resamples_whole_groups() -> None:
    tracks = np.repeat(np.arange(10), 20)
    by_track = gaussian(5, 10)[tracks]
    first, second = by_track + 0.01 * gaussian(6), by_track + 0.5 + 0.01 * gaussian(7)
    grouped = polynomial_mmd(first, second, tracks.tolist())
    single = polynomial_mmd(first, second, range(200))
    assert grouped.mean == single.mean
    assert grouped.high - grouped.low > 2 * (single.high - single.low)
    assert polynomial_mmd(first, second, tracks.tolist()) == grouped


def test_one_group_has_an_interval_of_no_width() -> None:
    found = polynomial_mmd(gaussian(0, 4), gaussian(1, 4), ["a"] * 4)
    assert found.low == pytest.approx(found.mean)
    assert found.high == pytest.approx(found.mean)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(DataError, match="at least two"):
        polynomial_mmd(gaussian(0, 1), gaussian(0, 5))
    with pytest.raises(DataError, match=r"expected \[n, dim\]"):
        polynomial_mmd(gaussian(0), gaussian(0)[:, :3])
    with pytest.raises(DataError, match="one label per pair"):
        polynomial_mmd(gaussian(0, 5), gaussian(0, 6), ["a"] * 5)
    with pytest.raises(DataError, match="NaN"):
        polynomial_mmd(gaussian(0), gaussian(0) * np.nan)
