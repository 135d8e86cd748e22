"""Levels that are held: biases by hand, long clips, and parts of a piece."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.lm.running import generate_batch

from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.lm.generate import candidate_seeds
from bandtok.lm.inpainting import InpaintRequest, inpaint_codes
from bandtok.lm.levels import LevelHolder, LevelTarget
from bandtok.lm.model import MusicLM

LEVELS = np.linspace(-2, 2, 11).astype(np.float32)
QUIET, MIDDLE, LOUD = 0, 5, 10


def holder(codes: np.ndarray, known: int, **more: float) -> LevelHolder:
    reference = np.broadcast_to(np.arange(codes.shape[2]) < known, codes.shape[1:])
    target = LevelTarget(code_levels=lambda: LEVELS, reference=reference, first_frame=known, **more)
    return LevelHolder(target, ~reference)


def test_what_comes_before_is_left_alone() -> None:
    codes = np.zeros((1, 2, 40), np.int64)
    assert holder(codes, 20).bias(codes, 19, 0) == 0.0


def test_a_band_that_has_become_louder_is_pulled_down_and_the_others_are_not() -> None:
    codes = np.full((1, 2, 60), MIDDLE)
    codes[:, 1, 20:50] = 8
    found = holder(codes, 20)
    steady, louder = (found.bias(codes, 50, band) for band in (0, 1))
    assert np.abs(steady).max() < 1e-6
    assert isinstance(louder, np.ndarray)
    assert louder[0, QUIET] > louder[0, MIDDLE] > louder[0, LOUD]
    twice = holder(codes, 20, strength=2.0).bias(codes, 50, 1)
    np.testing.assert_allclose(twice, 2 * louder, rtol=1e-5)


def test_levels_that_spread_are_pulled_to_the_mean() -> None:
    codes = np.tile([4, 6], 30)[None, None].repeat(2, axis=0)
    codes[1, :, 20:] = np.tile([QUIET, LOUD], 20)
    bias = holder(codes, 20).bias(codes, 59, 0)
    assert isinstance(bias, np.ndarray)
    assert np.abs(bias[0]).max() < 0.2
    assert bias[1, MIDDLE] > bias[1, QUIET] + 1
    assert bias[1, MIDDLE] > bias[1, LOUD] + 1


def test_the_first_cells_are_not_pulled_before_anything_is_known_of_them() -> None:
    codes = np.full((1, 2, 40), MIDDLE)
    assert np.abs(holder(codes, 20).bias(codes, 20, 0)).max() < 1e-6


def test_long_clips_begin_as_before_and_keep_their_level(
    make_model: Callable[..., MusicLM],
) -> None:
    model = make_model(frame_rate=2.0)  # the first 10 s are 20 frames
    free, held = (
        generate_batch(model, None, 120, seeds=range(4), code_levels=levels).numpy()
        for levels in (None, lambda: 3 * LEVELS)
    )
    np.testing.assert_array_equal(free[:, :, :20], held[:, :, :20])
    assert (free[:, :, 20:] != held[:, :, 20:]).any()

    def drift(codes: np.ndarray) -> float:
        levels = LEVELS[codes]
        return float(np.abs(levels[:, :, 72:].mean(2) - levels[:, :, :20].mean(2)).mean())

    assert drift(held) < 0.7 * drift(free)


@pytest.mark.parametrize("loud", [QUIET, LOUD])
def test_a_part_is_as_loud_as_what_surrounds_it(
    make_model: Callable[..., MusicLM], loud: int
) -> None:
    codes = np.full((3, 40), loud)
    keep = np.ones(codes.shape, np.bool_)
    keep[:, 10:30] = False
    network = TorchLanguageModel(make_model())
    free, held = (
        inpaint_codes(network, InpaintRequest(codes=codes, keep=keep, code_levels=levels))
        for levels in (None, lambda: LEVELS)
    )
    np.testing.assert_array_equal(held[keep], codes[keep])
    wanted = LEVELS[loud]
    assert abs(LEVELS[held[~keep]].mean() - wanted) < 0.8 * abs(LEVELS[free[~keep]].mean() - wanted)


def test_of_candidates_the_one_that_fits_its_surroundings_is_selected(
    make_model: Callable[..., MusicLM],
) -> None:
    codes = np.full((3, 40), MIDDLE)
    keep = np.ones(codes.shape, np.bool_)
    keep[1, 10:13] = False
    network = TorchLanguageModel(make_model())

    def written(count: int, seed: int) -> np.ndarray:
        # So weak a hold changes no code, but makes levels count.
        request = InpaintRequest(
            codes=codes,
            keep=keep,
            seed=seed,
            code_levels=lambda: LEVELS,
            level_strength=1e-9,
            num_candidates=count,
        )
        return inpaint_codes(network, request)[1, 10:13]

    def misfit(found: np.ndarray) -> float:
        return abs(float(np.log(np.exp(2 * LEVELS[found]).mean())))

    alone = [written(1, seed) for seed in candidate_seeds(3, 6)]
    best = min(alone, key=misfit)
    assert not np.array_equal(best, alone[0]), "the test is idle if the first candidate wins"
    np.testing.assert_array_equal(written(6, 3), best)
