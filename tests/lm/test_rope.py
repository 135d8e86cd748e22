"""Rotary positions on a grid."""

from __future__ import annotations

import pytest
import torch

from bandtok.errors import ConfigError
from bandtok.lm.rope import (
    concat_rotations,
    identity_rotation,
    rotary_1d,
    rotary_2d,
    rotate,
)
from bandtok.lm.token_order import positions


def _score(query: torch.Tensor, key: torch.Tensor, places: list[tuple[int, int]]) -> float:
    table = rotary_2d(torch.tensor(places), query.shape[-1])
    turned = rotate(torch.stack((query, key)), table)
    return float(turned[0] @ turned[1])


def test_scores_depend_only_on_differences() -> None:
    query, key = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    base = _score(query, key, [(5, 3), (2, 1)])
    for frames, bands in ((0, 0), (7, 0), (0, 12), (400, 9)):
        shifted = _score(query, key, [(5 + frames, 3 + bands), (2 + frames, 1 + bands)])
        assert shifted == pytest.approx(base, abs=1e-4)
    assert _score(query, key, [(6, 3), (2, 1)]) != pytest.approx(base, abs=1e-3)
    assert _score(query, key, [(5, 4), (2, 1)]) != pytest.approx(base, abs=1e-3)


def test_norms_are_kept() -> None:
    heads = torch.randn(2, 3, 35, 8)
    turned = rotate(heads, rotary_2d(positions(torch.arange(11, 46), 7), 8))
    torch.testing.assert_close(turned.norm(dim=-1), heads.norm(dim=-1))


def test_each_half_turns_with_one_axis() -> None:
    table = rotary_2d(torch.tensor([[3, 0], [0, 3]]), 16)
    band_pairs, frame_pairs = slice(4, 8), slice(0, 4)
    assert torch.equal(table.cos[0, band_pairs], torch.ones(4))
    assert torch.equal(table.cos[1, frame_pairs], torch.ones(4))
    assert table.cos[0, 0] == pytest.approx(float(torch.tensor(3.0).cos()))
    assert table.cos[1, 4] == pytest.approx(float(torch.tensor(3.0).cos()))


def test_first_pair_turns_by_its_angle() -> None:
    turned = rotate(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), rotary_2d(torch.tensor([[1, 0]]), 4))
    angle = torch.tensor(1.0)
    expected = torch.stack((angle.cos(), torch.zeros(()), angle.sin(), torch.zeros(())))
    torch.testing.assert_close(turned[0], expected)


@pytest.mark.parametrize(("num_bands", "length"), [(2, 6), (16, 48), (5, 12), (1, 3)])
def test_grids_need_not_be_square(num_bands: int, length: int) -> None:
    table = rotary_2d(positions(torch.arange(length), num_bands), 8)
    assert table.cos.shape == (length, 8)
    by_hand = [(k // num_bands, k % num_bands) for k in range(length)]
    torch.testing.assert_close(table.cos, rotary_2d(torch.tensor(by_hand), 8).cos)


def test_identity_leaves_a_prefix_unturned_and_not_zero() -> None:
    heads = torch.randn(4, 5, 8)
    table = concat_rotations(
        identity_rotation(3, 8), rotary_2d(positions(torch.arange(4, 6), 3), 8)
    )
    turned = rotate(heads, table)
    torch.testing.assert_close(turned[:, :3], heads[:, :3])
    assert float(turned[:, :3].abs().min()) > 0
    assert not torch.allclose(turned[:, 3:], heads[:, 3:])


def test_slices_of_a_table() -> None:
    table = rotary_1d(torch.arange(9), 6)
    torch.testing.assert_close(table[4:6].sin, rotary_1d(torch.tensor([4, 5]), 6).sin)


def test_unfit_head_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of 4"):
        rotary_2d(positions(torch.arange(2), 2), 6)
    with pytest.raises(ConfigError, match="multiple of 2"):
        rotary_1d(torch.arange(2), 5)
