"""Damage of wrong tokens, with decoders whose reach is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import DataError, GridError
from research.analysis.token_perturbation import SpreadCase, error_spread

ROWS, SIZE, CELL = 4, 32, 8


def grids() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, SIZE, (ROWS, frames)) for frames in (40, 3, 25)]


def paint(codes: np.ndarray) -> np.ndarray:
    """Each token colors its own cell by its code."""
    return codes.astype(float).repeat(CELL, axis=0).repeat(CELL, axis=1)


def echoing(codes: np.ndarray) -> np.ndarray:
    """Each token is repeated a frame later, three times as quiet."""
    mel = paint(codes)
    mel[:, CELL:] += paint(codes)[:, :-CELL] / 3
    return mel


def layered(codes: np.ndarray) -> np.ndarray:
    """Row k adds half as much as row k - 1 to the whole frame."""
    weights = 0.5 ** np.arange(len(codes))
    return np.tile((weights[:, None] * codes).sum(axis=0).repeat(CELL), (2 * CELL, 1))


def test_a_decoder_without_reach_keeps_all_damage_in_the_cell() -> None:
    found = error_spread(paint, grids(), SIZE, num_places=8, context_frames=4)
    assert [case.rows for case in found.single] == [(0,), (1,), (2,), (3,)]
    assert [case.rows for case in found.first] == [(0, 1), (0, 1, 2, 3)]
    for case in (*found.single, *found.first):
        shares = (case.own, case.own_bands, case.same_frame)
        assert shares == pytest.approx((1.0, 1.0, 1.0))
        assert (case.other_bands, case.earlier, case.later) == pytest.approx((0.0, 0.0, 0.0))
        assert (case.first_frame, case.last_frame) == (0, 0)
        assert case.damage.mean >= 1 / ROWS  # codes differ by at least 1, one cell of ROWS
    whole = found.first[-1].damage.mean
    assert whole == pytest.approx(sum(case.damage.mean for case in found.single))


def test_fewer_single_rows_change_nothing_of_the_others() -> None:
    every = error_spread(paint, grids(), SIZE, num_places=8, context_frames=4)
    one = error_spread(paint, grids(), SIZE, num_places=8, context_frames=4, num_single=1)
    assert (one.single, one.first) == (every.single[:1], every.first)


def test_an_echo_is_a_quarter_of_the_damage_and_later() -> None:
    # One piece, and places drawn from it all: the last frame has no echo, so it is cut off.
    grid = np.random.default_rng(1).integers(0, SIZE, (ROWS, 4_000))
    found = error_spread(echoing, [grid], SIZE, num_places=8, context_frames=4)
    for case in (*found.single, *found.first):
        assert case.later == pytest.approx(0.25)
        assert (case.own, case.same_frame) == pytest.approx((0.75, 0.75))
        assert case.own_bands == pytest.approx(1.0)
        assert case.earlier == 0.0
        assert (case.first_frame, case.last_frame) == (0, 1)
        assert case.by_offset == pytest.approx((0, 0, 0, 0, 0.75, 0.25, 0, 0, 0))


def test_layers_do_less_damage_the_later_they_come_and_have_no_band() -> None:
    found = error_spread(
        layered, grids(), SIZE, num_places=400, context_frames=2, rows_are_bands=False
    )
    damages = [case.damage.mean for case in found.single]
    for louder, quieter in pairwise(damages):
        assert louder / quieter == pytest.approx(2.0, rel=0.25)
    assert {case.own for case in found.single} == {None}
    assert {case.other_bands for case in found.first} == {None}
    assert all(case.same_frame == pytest.approx(1.0) for case in found.single)


def test_damage_of_the_debug_model_ends_at_the_reach_of_its_decoder() -> None:
    tokenizer = Tokenizer.from_pretrained("debug", device="cpu")
    reach = tokenizer.config.decoder_reach
    codes = np.random.default_rng(0).integers(0, 64, (16, 200))
    found = error_spread(
        tokenizer.codec.decode_mel, [codes], 64, num_places=1, context_frames=2 * reach
    )
    for case in (*found.single, *found.first):
        assert case.damage.mean > 0
        assert -reach <= case.first_frame < 0 < case.last_frame <= reach
        assert case.earlier + case.same_frame + case.later == pytest.approx(1.0)
        shares = (case.own, case.own_bands, case.other_bands)
        assert all(share is not None and 0 <= share <= 1 for share in shares)
    assert found.single[3].own_bands == pytest.approx(1 - (found.single[3].other_bands or 0))
    assert found.first[-1].own_bands == pytest.approx(1.0)


def test_places_and_codes_depend_on_the_seed_alone() -> None:
    def cases(seed: int) -> tuple[SpreadCase, ...]:
        return error_spread(paint, grids(), SIZE, num_places=5, seed=seed).single

    assert cases(1) == cases(1)
    assert cases(1) != cases(2)


def test_no_damage_gives_zeros() -> None:
    found = error_spread(lambda codes: paint(codes * 0), grids(), SIZE, num_places=2)
    assert found.single[0].damage.mean == 0
    assert found.single[0].own == found.single[0].later == found.single[0].same_frame == 0


def test_a_replaced_token_is_always_another() -> None:
    seen = []

    def remember(codes: np.ndarray) -> np.ndarray:
        seen.append(codes.copy())
        return paint(codes)

    places = 50
    error_spread(remember, grids(), 2, num_places=places, context_frames=1)
    calls = len(seen) // places
    for place in range(places):
        whole, *damaged = seen[place * calls : (place + 1) * calls]
        changed = [int((codes != whole).sum()) for codes in damaged]
        assert changed == [1, 1, 1, 1, 2, 4]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(GridError, match="at least 2"):
        error_spread(paint, grids(), 1)
    with pytest.raises(GridError, match="multiples of 4 bands"):
        error_spread(lambda codes: paint(codes)[1:], grids(), SIZE)
    with pytest.raises(DataError, match="0 frames"):
        error_spread(paint, [np.zeros((ROWS, 0), np.int64)], SIZE)
    with pytest.raises(DataError, match="0 places"):
        error_spread(paint, grids(), SIZE, num_places=0)
