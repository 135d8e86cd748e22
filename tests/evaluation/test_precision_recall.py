"""Coverage by nearest neighbors: same sets, far sets, collapsed sets."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import DataError
from bandtok.evaluation.precision_recall import coverage, distances, diversity


def points(seed: int, count: int = 300) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)


def test_two_sets_of_one_kind_cover_one_another() -> None:
    found = coverage(points(0), points(1))
    assert found.precision > 0.85
    assert found.recall > 0.85
    assert found.density == pytest.approx(1, abs=0.15)
    assert found.coverage > 0.9


def test_a_far_set_covers_nothing() -> None:
    found = coverage(points(0), points(1) + 100)
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)


def test_a_collapsed_set_is_precise_and_covers_little() -> None:
    collapsed = 0.01 * points(1)
    found = coverage(points(0), collapsed)
    assert found.precision > 0.9
    assert found.coverage < 0.1
    assert found.recall < 0.1
    assert diversity(collapsed) < 0.02 * diversity(points(0))


def test_distances_and_diversity_by_hand() -> None:
    corners = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]])
    np.testing.assert_allclose(distances(corners, corners), [[0, 5, 4], [5, 0, 3], [4, 3, 0]])
    assert diversity(corners) == pytest.approx(4)


def test_too_few_points_are_refused() -> None:
    with pytest.raises(DataError, match="more than 5"):
        coverage(points(0, 5), points(1))
    with pytest.raises(DataError, match="at least 2"):
        diversity(points(0, 1))
