"""Rotary positions on a grid."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bandtok.lm.config import MusicLMConfig
from bandtok.lm.rope import rotary_angles

MakeConfig = Callable[..., MusicLMConfig]


def test_scores_depend_only_on_differences(make_config: MakeConfig) -> None:
    """A query's angles less a key's are the same wherever the two cells lie."""
    config = make_config(num_bands=16, model_dim=64, window_frames=500)
    cells = np.array([5 * 16 + 3, 2 * 16 + 1])
    base = np.subtract(*rotary_angles(config, cells)[0])
    for frames, bands in ((7, 0), (0, 12), (400, 9)):
        moved = rotary_angles(config, cells + frames * 16 + bands)[0]
        np.testing.assert_allclose(np.subtract(*moved), base, atol=1e-9)
    assert not np.allclose(np.subtract(*rotary_angles(config, cells + np.array([16, 0]))[0]), base)


def test_half_of_the_pairs_turns_with_the_frame_and_half_with_the_band(
    make_config: MakeConfig,
) -> None:
    config = make_config(num_bands=4, model_dim=64)  # heads of 16: four pairs each
    frame, band = rotary_angles(config, np.array([3 * 4, 3]))[0]
    assert frame[0] == band[4] == 3
    assert not frame[4:].any()
    assert not band[:4].any()


def test_keys_stand_for_the_cell_before_and_the_first_is_not_turned(
    make_config: MakeConfig,
) -> None:
    order = np.array([[4, 0, 7, 2]])
    queries, keys = rotary_angles(make_config(), order)
    assert not keys[0, 0].any()
    np.testing.assert_array_equal(keys[0, 1:], queries[0, :-1])


@pytest.mark.parametrize("rope", ["1d", "2d"])
def test_both_kinds_have_an_angle_per_pair(make_config: MakeConfig, rope: str) -> None:
    config = make_config(rope=rope)
    queries, _ = rotary_angles(config, np.arange(6))
    assert queries.shape == (6, config.head_dim // 2)
    if rope == "1d":
        np.testing.assert_array_equal(queries[:, 0], np.arange(6))
