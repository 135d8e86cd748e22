"""Frechet distance: the closed form for Gaussians, symmetry, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import DataError
from bandtok.evaluation.frechet import frechet_distance


def sample(mean: np.ndarray, root: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw numbers whose sample mean and covariance are exactly mean and root @ root.T."""
    raw = np.random.default_rng(seed).standard_normal((count, len(mean)))
    raw -= raw.mean(axis=0)
    raw = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    return mean + raw @ root.T


def test_a_set_is_at_distance_zero_from_itself() -> None:
    points = np.random.default_rng(0).standard_normal((300, 20)).astype(np.float32)
    result = frechet_distance(points, points[::-1])
    assert 0 <= result.distance < 1e-8
    assert (result.count, result.dim) == (300, 20)


def test_a_shift_counts_squared() -> None:
    points = np.random.default_rng(0).standard_normal((300, 20))
    shift = np.linspace(0, 1, 20)
    assert frechet_distance(points, points + shift).distance == pytest.approx(
        float(np.square(shift).sum()), abs=1e-8
    )


def test_diagonal_gaussians_have_the_closed_form() -> None:
    first, second = np.array([1.0, 2.0, 0.5]), np.array([3.0, 0.1, 0.5])
    means = np.array([0.0, 1.0, -1.0]), np.array([2.0, 1.0, 0.0])
    result = frechet_distance(
        sample(means[0], np.diag(first), 100, 0), sample(means[1], np.diag(second), 100, 1)
    )
    expected = np.square(means[0] - means[1]).sum() + np.square(first - second).sum()
    assert result.distance == pytest.approx(float(expected), rel=1e-9)


def test_any_gaussians_agree_with_the_matrix_square_root() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    generator = np.random.default_rng(2)
    roots = generator.standard_normal((2, 6, 6))
    zero = np.zeros(6)
    result = frechet_distance(sample(zero, roots[0], 99, 3), sample(zero, roots[1], 99, 4))
    first, second = (root @ root.T for root in roots)
    cross = np.real(linalg.sqrtm(first @ second))
    assert result.distance == pytest.approx(float(np.trace(first + second - 2 * cross)), rel=1e-7)


def test_it_is_symmetric_and_survives_fewer_points_than_dimensions() -> None:
    generator = np.random.default_rng(5)
    first, second = generator.standard_normal((2, 60, 200))
    there, back = frechet_distance(first, second), frechet_distance(second, first)
    assert there.distance == pytest.approx(back.distance, rel=1e-6)
    assert there.distance > 0
    assert "too few" in there.caveat
    many = generator.standard_normal((100, 2))
    assert not frechet_distance(many, many).caveat


def test_unequal_few_or_broken_sets_are_refused() -> None:
    points = np.zeros((60, 3))
    with pytest.raises(DataError, match="equal size"):
        frechet_distance(points, points[:-1])
    with pytest.raises(DataError, match="at least 50"):
        frechet_distance(points[:49], points[:49])
    with pytest.raises(DataError, match="NaN"):
        frechet_distance(points, points * np.nan)
