"""Mutual information of rows against distributions whose answer is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bandtok.errors import DataError, GridError
from bandtok.evaluation.mutual_information import normalized_information, token_dependence


def uniform(rows: int, frames: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, size, (rows, frames))


def copied(share: float, frames: int, size: int, seed: int = 0) -> np.ndarray:
    """Two rows; the second repeats the first with the given chance, else is drawn anew."""
    rng = np.random.default_rng(seed)
    first, other = rng.integers(0, size, (2, frames))
    return np.stack([first, np.where(rng.random(frames) < share, first, other)])


def true_information(share: float, size: int) -> float:
    """NMI of `copied` with endless frames: ln(size) less the entropy of the second given the first.

    Both rows are uniform, so the divisor is ln(size).
    """
    same = share + (1 - share) / size
    other = (1 - share) / size
    given = -(same * np.log(same) + (size - 1) * other * np.log(other))
    return float(1 - given / np.log(size))


def test_by_hand() -> None:
    first, second = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])
    # H = ln 2; H = 2 ln 2 - 3/4 ln 3; together 1/2, 1/4, 1/4: H = 3/2 ln 2.
    one, two, both = np.log(2), 2 * np.log(2) - 0.75 * np.log(3), 1.5 * np.log(2)
    expected = 2 * (one + two - both) / (one + two)
    assert normalized_information(first, second) == pytest.approx(expected)
    assert normalized_information(second, first) == pytest.approx(expected)
    assert normalized_information(first, 1 - first) == pytest.approx(1.0)
    assert normalized_information(first, np.array([0, 1, 0, 1])) == pytest.approx(0.0)
    assert normalized_information(first, np.zeros(4, np.int64)) == 0.0
    assert normalized_information(np.full(4, 7), np.zeros(4, np.int64)) == 0.0


def test_independent_rows_are_all_floor() -> None:
    found = token_dependence([uniform(4, 4000, 256)])
    for row in found.rows:
        assert row.others is not None
        for part in (row.others, row.before):
            assert part.raw > 0.5  # 4000 frames for 65,536 pairs: raw says nothing
            assert part.floor == pytest.approx(part.raw, abs=0.01)
            assert abs(part.corrected) < 0.02
    assert found.num_frames == 3999


def test_identical_rows_are_one_whatever_the_floor() -> None:
    row = uniform(1, 1000, 64)
    found = token_dependence([np.concatenate([row, row, (row + 5) % 64])])
    assert found.others is not None
    assert found.others.raw == pytest.approx(1.0)
    assert found.others.corrected == pytest.approx(1.0)
    assert 0.1 < found.others.floor < 0.9
    assert np.allclose(found.pairs, 1.0)
    assert abs(found.before.corrected) < 0.1


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_known_joint_distribution(share: float) -> None:
    found = token_dependence([copied(share, 200_000, 8)]).others
    assert found is not None
    assert found.raw == pytest.approx(true_information(share, 8), abs=0.005)
    assert found.corrected == pytest.approx(true_information(share, 8), abs=0.005)


def test_with_few_frames_the_corrected_value_is_nearer_to_the_truth() -> None:
    found = token_dependence([copied(0.5, 3000, 64)]).others
    truth = true_information(0.5, 64)
    assert found is not None
    assert found.raw > truth + 0.1
    assert abs(found.corrected - truth) < (found.raw - truth) / 2


def test_only_the_row_that_repeats_itself_knows_its_past() -> None:
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.random(5000) < 0.1) % 16
    found = token_dependence([np.stack([steps, rng.integers(0, 16, 5000)])])
    assert found.rows[0].before.corrected > 0.8
    assert abs(found.rows[1].before.corrected) < 0.02


def test_no_pair_reaches_over_the_end_of_a_piece() -> None:
    first, second = np.zeros((1, 500), np.int64), np.ones((1, 500), np.int64)
    found = token_dependence([first, second])
    assert found.num_frames == 998
    assert found.before.raw == pytest.approx(1.0)  # 0 always after 0, 1 always after 1
    assert found.rows[0].others is None
    assert found.others is None


def test_frames_are_drawn_by_the_seed_and_their_number_is_kept() -> None:
    grids = [uniform(3, 300, 16), uniform(3, 200, 16, seed=1)]
    one, again = (token_dependence(grids, max_frames=128, seed=5) for _ in range(2))
    other = token_dependence(grids, max_frames=128, seed=6)
    assert one == again
    assert one != other
    assert one.num_frames == other.num_frames == 128
    assert token_dependence(grids, max_frames=498).num_frames == 498
    with pytest.raises(DataError, match="got 498 frames"):
        token_dependence(grids, max_frames=499)


def test_the_raw_value_falls_with_the_number_of_frames_the_corrected_one_stays() -> None:
    grid = copied(0.6, 20_000, 32)
    few, many = (token_dependence([grid], max_frames=n).others for n in (1000, 16_000))
    assert few is not None
    assert many is not None
    assert few.raw - many.raw > 0.1
    assert abs(few.corrected - many.corrected) < 0.5 * (few.raw - many.raw)


def test_rows_that_never_repeat_a_code_tell_nothing() -> None:
    found = token_dependence([np.stack([np.arange(50), np.arange(50)[::-1]])])
    assert found.others is not None
    assert (found.others.raw, found.others.floor, found.others.corrected) == (1.0, 1.0, 0.0)


def test_a_million_tokens_of_a_large_codebook_take_seconds() -> None:
    grid = uniform(16, 1_000_000 // 16, 4096)
    start = time.process_time()
    token_dependence([grid])
    assert time.process_time() - start < 30


@pytest.mark.parametrize(
    "grids",
    [
        [],
        [np.zeros((0, 4), np.int64)],
        [np.zeros(4, np.int64)],
        [np.zeros((2, 4))],
        [np.full((2, 4), -1)],
        [np.zeros((2, 4), np.int64), np.zeros((3, 4), np.int64)],
    ],
)
def test_what_is_no_grid_is_refused(grids: list[np.ndarray]) -> None:
    with pytest.raises(GridError, match="same rows"):
        token_dependence(grids)


def test_one_frame_is_too_few() -> None:
    with pytest.raises(DataError, match="at least 2"):
        token_dependence([np.zeros((2, 1), np.int64)])
