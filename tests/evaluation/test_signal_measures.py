"""Flicker, grain, level, DC and peak on cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from bandtok.evaluation.signal_measures import (
    TotalVariationRatio,
    dc_offset_dbfs,
    level_difference_db,
    peak_dbfs,
    total_variation_ratio,
)
from bandtok.signal.mel import MelConfig

CONFIG = MelConfig()
SILENCE = np.zeros(1_000, np.float32)


def random_mel(seed: int = 0, frames: int = 50) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((128, frames))


def test_identical_mels_have_ratios_of_one() -> None:
    mel = random_mel()
    assert total_variation_ratio(mel, mel, CONFIG) == TotalVariationRatio(flicker=1.0, grain=1.0)


def test_blur_over_time_lowers_flicker_and_blur_over_bins_lowers_grain() -> None:
    mel = random_mel().cumsum(0).cumsum(1)  # smooth, so that blur along one axis spares the other
    jitter = random_mel(1)
    for axis, blurred, kept in ((1, "flicker", "grain"), (0, "grain", "flicker")):
        detail = jitter[:1] if axis == 1 else jitter[:, :1]
        rough = 0.1 * mel + 5 * detail
        smooth = 0.1 * mel
        found = total_variation_ratio(rough, smooth, CONFIG)
        assert getattr(found, blurred) < 0.6
        assert getattr(found, kept) == pytest.approx(1.0, abs=1e-6)


def test_a_moving_average_of_noise_is_blurred() -> None:
    mel = random_mel()
    blurred = sliding_window_view(np.pad(mel, ((0, 0), (1, 1))), 3, axis=1).mean(axis=-1)
    found = total_variation_ratio(mel, blurred, CONFIG)
    assert found.flicker is not None
    assert found.flicker < 0.6
    assert found.grain == pytest.approx(0.6, abs=0.1)


def test_added_noise_raises_both() -> None:
    mel = random_mel()
    found = total_variation_ratio(mel, mel + random_mel(2), CONFIG)
    assert found.flicker == pytest.approx(2**0.5, abs=0.05)
    assert found.grain == pytest.approx(2**0.5, abs=0.05)
    assert total_variation_ratio(mel, 2 * mel, CONFIG).flicker == pytest.approx(2.0)


def test_bins_above_the_limit_do_not_count() -> None:
    mel = random_mel()
    above = mel.copy()
    above[-1] += 10 * random_mel(3)[-1]
    assert total_variation_ratio(mel, above, CONFIG).flicker == 1.0
    assert total_variation_ratio(mel, above, CONFIG, below_hz=30_000).flicker != 1.0


def test_a_constant_original_has_no_ratio() -> None:
    constant = np.zeros((128, 9))
    nothing = TotalVariationRatio(flicker=None, grain=None)
    assert total_variation_ratio(constant, random_mel(frames=9), CONFIG) == nothing
    single = random_mel(frames=1)
    assert total_variation_ratio(single, single, CONFIG).flicker is None


def test_level_difference() -> None:
    noise = np.random.default_rng(0).standard_normal(1_000).astype(np.float32)
    assert level_difference_db(noise, noise) == 0.0
    assert level_difference_db(noise, 0.5 * noise) == pytest.approx(-6.02, abs=0.01)
    assert level_difference_db(noise, SILENCE) is None
    assert level_difference_db(SILENCE, noise) is None
    assert level_difference_db(SILENCE[:0], SILENCE[:0]) is None


def test_dc_offset_of_either_sign() -> None:
    tone = np.sin(2 * np.pi * np.arange(1_000) / 100).astype(np.float32)
    for offset in (0.001, -0.001):
        assert dc_offset_dbfs(tone + np.float32(offset)) == pytest.approx(-60.0, abs=0.05)
    assert dc_offset_dbfs(SILENCE) is None
    assert dc_offset_dbfs(SILENCE[:0]) is None


def test_peak_of_either_sign() -> None:
    samples = np.array([0.1, -2.0, 0.5], np.float32)
    assert peak_dbfs(samples) == pytest.approx(6.02, abs=0.01)
    assert peak_dbfs(SILENCE) is None
    assert peak_dbfs(SILENCE[:0]) is None
