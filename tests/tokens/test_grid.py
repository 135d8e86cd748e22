"""The grid, its order as a sequence, and its checks."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import GridError
from bandtok.lm.token_order import (
    flatten,
    infill_order,
    neighbor_steps,
    token_order,
    unflatten,
    window_order,
)
from bandtok.tokens.grid import TokenGrid


def test_raster_order_spelled_out_on_two_bands_and_three_frames() -> None:
    codes = np.array([[10, 11, 12], [20, 21, 22]])
    assert flatten(codes).tolist() == [10, 20, 11, 21, 12, 22]


def test_what_is_known_is_read_first_spelled_out_on_two_bands_and_three_frames() -> None:
    # Cells by raster index: band 0 holds 0, 2, 4; band 1 holds 1, 3, 5.
    keep = np.array([[True, False, True], [False, False, True]])
    assert infill_order(keep).tolist() == [0, 4, 5, 1, 2, 3]
    upper = np.array([[False] * 3, [True] * 3])
    assert infill_order(np.stack((keep, upper))).tolist() == [
        [0, 4, 5, 1, 2, 3],
        [1, 3, 5, 0, 2, 4],
    ]


@pytest.mark.parametrize("known", [False, True])
def test_with_nothing_or_all_known_the_order_is_the_raster_order(known: bool) -> None:
    assert infill_order(np.full((2, 3), known)).tolist() == list(range(6))


def test_neighbors_are_those_read_before_spelled_out() -> None:
    left_below_right_above = ((-1, 0), (0, -1), (1, 0), (0, 1))
    raster = neighbor_steps(np.arange(6)[None], 2, left_below_right_above)[0]
    assert raster.tolist() == [
        [-1, -1, -1, -1],
        [-1, 0, -1, -1],
        [0, -1, -1, -1],
        [1, 2, -1, -1],
        [2, -1, -1, -1],
        [3, 4, -1, -1],
    ]
    edited = neighbor_steps(np.array([[0, 4, 5, 1, 2]]), 2, left_below_right_above)[0]
    assert edited.tolist() == [
        [-1, -1, -1, -1],
        [-1, -1, -1, -1],
        [-1, 1, -1, -1],
        [-1, 0, -1, -1],
        [0, -1, 1, -1],
    ]


@pytest.mark.parametrize("bands", [1, 2, 16])
@pytest.mark.parametrize("frames", [0, 1, 5])
def test_grid_to_sequence_to_grid_is_the_identity(bands: int, frames: int) -> None:
    codes = np.random.default_rng(0).integers(0, 99, (3, bands, frames))
    assert np.array_equal(unflatten(flatten(codes), bands), codes)


def test_unflatten_refuses_part_of_a_frame() -> None:
    with pytest.raises(GridError, match="multiple of 16"):
        unflatten(np.zeros(17, np.int64), 16)


def test_physics_of_the_default_grid() -> None:
    grid = TokenGrid(codes=np.zeros((16, 107), np.int64), codebook_size=4096)
    assert grid.frame_rate == pytest.approx(10.7666, abs=1e-4)
    assert grid.num_samples == 107 * 4096
    assert grid.bit_rate_bps == pytest.approx(2067.2, abs=0.1)


@pytest.mark.parametrize(
    ("codes", "samples", "message"),
    [
        (np.zeros((16, 2)), None, "integers"),
        (np.zeros(16, np.int64), None, r"\[bands, frames\]"),
        (np.full((16, 2), 4096), None, "0 to 4095"),
        (np.full((16, 2), -1), None, "0 to 4095"),
        (np.zeros((16, 2), np.int64), 4096, "4097 to 8192"),
        (np.zeros((16, 2), np.int64), 8193, "4097 to 8192"),
    ],
)
def test_bad_grids_are_refused(codes: np.ndarray, samples: int | None, message: str) -> None:
    with pytest.raises(GridError, match=message):
        TokenGrid(codes=codes, codebook_size=4096, num_samples=samples)


def test_delay_order_spelled_out() -> None:
    # raster indices of 3 bands x 3 frames, read along the diagonals frame + band = 0 to 4
    assert token_order("delay", 3, 3).tolist() == [0, 3, 1, 6, 4, 2, 7, 5, 8]
    assert token_order("delay", 1, 4).tolist() == [0, 1, 2, 3]
    assert token_order("raster", 3, 3).tolist() == list(range(9))


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_delay_order_is_a_round_trip_that_keeps_time_and_bands_in_order(frames: int) -> None:
    order = token_order("delay", 4, frames)
    assert sorted(order.tolist()) == list(range(4 * frames))
    place = np.argsort(order).reshape(frames, 4)
    assert (np.diff(place, axis=0) > 0).all()
    assert (np.diff(place, axis=1) > 0).all()
    codes = np.arange(4 * frames)[::-1]
    back = np.empty_like(codes)
    back[order] = codes[order]
    assert np.array_equal(back, codes)


def test_a_window_is_read_by_what_is_known_of_it() -> None:
    nothing, begun, band = (np.zeros((3, 4), np.bool_) for _ in range(3))
    begun[:, :2] = True
    band[1] = True
    keep = np.stack([nothing, begun, band])
    assert np.array_equal(window_order(keep), infill_order(keep))
    delayed = window_order(keep, "delay")
    whole = token_order("delay", 3, 4)
    assert np.array_equal(delayed[0], whole)
    assert np.array_equal(delayed[1], whole)
    assert np.array_equal(delayed[2], infill_order(band))
    assert np.array_equal(window_order(begun, "delay"), whole)


def test_cut_and_join() -> None:
    codes = np.arange(40).reshape(2, 20)
    grid = TokenGrid(codes=codes, codebook_size=40, num_samples=20 * 4096 - 100, fingerprint="a")
    first, second = grid.cut(0, 5 / grid.frame_rate), grid.cut(5 / grid.frame_rate)
    assert (first.num_frames, second.num_frames) == (5, 15)
    joined = first + second
    np.testing.assert_array_equal(joined.codes, codes)
    assert joined.num_samples == grid.num_samples
    assert grid.cut(0.1, 0.2).num_frames == 2
    assert (second + first).num_samples == 20 * 4096


def test_what_cannot_be_cut_or_joined() -> None:
    grid = TokenGrid(codes=np.zeros((2, 4), int), codebook_size=4, fingerprint="a")
    with pytest.raises(GridError, match="from 9 to 0"):
        grid.cut(9)
    with pytest.raises(GridError, match="an end after it"):
        grid.cut(0.2, 0.1)
    with pytest.raises(GridError, match="fingerprint 'a' and 'b'"):
        grid + TokenGrid(codes=np.zeros((2, 4), int), codebook_size=4, fingerprint="b")
    with pytest.raises(TypeError):
        grid + 1  # type: ignore[operator]


def test_a_grid_is_an_array_and_is_sliced_by_frames() -> None:
    codes = np.arange(20).reshape(2, 10)
    grid = TokenGrid(codes=codes, codebook_size=20, samples_per_frame=100, num_samples=950)
    assert len(grid) == 10
    np.testing.assert_array_equal(np.asarray(grid), codes)
    assert np.asarray(grid, dtype=float).dtype == float
    for part in (grid[2:5], grid[:, 2:5], grid[-8:-5]):
        np.testing.assert_array_equal(part.codes, codes[:, 2:5])
        assert part.num_samples == 300
    assert grid[7:].num_samples == 250
    assert len(grid[5:2]) == 0
    assert grid[5:2]
    for wrong in (3, (0, 1), (slice(1), slice(None)), slice(0, 9, 2)):
        with pytest.raises(GridError, match="expected a range of frames"):
            grid[wrong]  # type: ignore[index]
