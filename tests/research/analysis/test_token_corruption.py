"""Wrong codes: never the true one, only such as the row uses, the same places for all systems."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import GridError
from research.analysis.token_corruption import WrongCodes


def test_wrong_codes_are_others_of_the_same_row_as_often_as_it_has_them() -> None:
    rng = np.random.default_rng(0)
    low = rng.choice(3, size=(1, 900), p=[0.8, 0.1, 0.1])
    high = rng.integers(50, 60, (1, 900))
    wrong = WrongCodes([np.concatenate([low, high])[:, :400], np.concatenate([low, high])], 64)
    columns = np.stack([wrong.column(np.array([2, 55]), rng) for _ in range(400)])
    assert set(columns[:, 0]) == {0, 1}
    assert 0.82 < (columns[:, 0] == 0).mean() < 0.95
    assert set(columns[:, 1]) == set(range(50, 60)) - {55}


def test_a_row_of_one_code_still_gets_another() -> None:
    wrong = WrongCodes([np.full((2, 10), 7)], 8)
    column = wrong.column(np.array([7, 7]), np.random.default_rng(0))
    assert column.tolist() == [0, 0]


def test_what_is_drawn_afterwards_does_not_depend_on_the_codes() -> None:
    after = []
    for seed in range(2):
        codes = np.random.default_rng(seed).integers(0, 9, (4, 30))
        rng = np.random.default_rng(5)
        WrongCodes([codes], 9).column(codes[:, 0], rng)
        after.append(rng.integers(1 << 40))
    assert after[0] == after[1]


def test_one_code_is_too_few() -> None:
    with pytest.raises(GridError, match="codebook_size 1"):
        WrongCodes([np.zeros((2, 3), np.int64)], 1)
