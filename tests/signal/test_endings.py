"""Fades, and loops that are cut, joined and resampled."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.signal.audio import Audio
from bandtok.signal.endings import cut_loop, fade_out, resample_loop

RATE = 1000


def test_a_fade_falls_to_silence_and_leaves_the_rest() -> None:
    audio = Audio(np.ones((2, 100), np.float32), RATE)
    faded = fade_out(audio, 0.05).waveform
    assert np.array_equal(faded[:, :50], audio.waveform[:, :50])
    assert np.all(np.diff(faded[0, 49:]) < 0)
    assert faded[0, -1] == 0
    assert faded[0, 74] == pytest.approx(0.5, abs=0.01)
    assert np.array_equal(audio.waveform, np.ones((2, 100), np.float32)), "the input is kept"


def test_a_fade_may_be_none_or_longer_than_the_clip() -> None:
    audio = Audio(np.ones((1, 100), np.float32), RATE)
    assert fade_out(audio, 0) is audio
    assert np.all(np.diff(fade_out(audio, 5).waveform[0]) < 0)


def test_a_pass_of_a_loop_ends_where_it_begins() -> None:
    generator = np.random.default_rng(0)
    around = np.cumsum(generator.standard_normal(400)).astype(np.float32)
    result = cut_loop(around, 100, 200, RATE)
    assert np.array_equal(result[:195], around[100:295])
    assert result[-1] == around[99], "what comes before the beginning"


def test_a_resampled_loop_is_still_periodic() -> None:
    wave = lambda count: np.sin(2 * np.pi * 5 * np.arange(count) / count)  # noqa: E731
    for count in (199, 200, 203):
        found = resample_loop(wave(200).astype(np.float32), count)
        np.testing.assert_allclose(found, wave(count), atol=1e-5)
