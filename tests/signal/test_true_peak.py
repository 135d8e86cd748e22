"""Peaks between samples, and a limiter that keeps below its ceiling and touches nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import AudioError, ConfigError
from bandtok.signal.true_peak import Limiter, limit_blocks, limit_true_peak, true_peak_dbfs

RATE = 44_100
NOISE = np.random.default_rng(0)


def sine(hertz: float, amplitude: float, seconds: float = 0.5, phase: float = 0.0) -> np.ndarray:
    time = np.arange(int(RATE * seconds)) / RATE
    return (amplitude * np.sin(2 * np.pi * hertz * time + phase)).astype(np.float32)[None]


LOUD = {
    "noise": NOISE.normal(0, 3, (2, 20_000)),
    "between samples": sine(RATE / 4, 1.4, phase=np.pi / 4),
    "square": 5 * np.sign(sine(441, 1.0)),
    "bursts": (NOISE.random((1, 40_000)) > 0.999) * 8.0,
    "swept": 3 * np.sin(np.linspace(0, 200, 30_000) ** 2)[None],
    "nyquist": 3 * np.cos(np.pi * np.arange(9_000))[None],
    "very loud": 1e30 * NOISE.normal(0, 1, (1, 5_000)),
    "largest float": np.full((1, 300), 3e38),
    "one sample": np.array([[7.0]]),
    "two samples": np.array([[7.0, -7.0]]),
}


def streamed(waveform: np.ndarray, cut: int, **settings: bool) -> np.ndarray:
    limiter = Limiter(RATE, len(waveform), 0.0, **settings)
    pieces = [waveform[:, a : a + cut] for a in range(0, waveform.shape[1], cut)]
    return np.concatenate([waveform[:, :0], *limit_blocks(pieces, limiter)], axis=1)


def test_a_peak_between_samples_is_found() -> None:
    wave = sine(RATE / 4, 1.0, phase=np.pi / 4)  # every sample is 3 dB below the crest
    assert np.abs(wave).max() == pytest.approx(np.sqrt(0.5), abs=1e-3)
    middle = np.hanning(wave.shape[1]) * wave  # without the edges, where a sine is cut off
    assert true_peak_dbfs(middle, RATE) == pytest.approx(0.0, abs=0.05)
    assert true_peak_dbfs(0.5 * middle, RATE) == pytest.approx(-6.02, abs=0.05)
    assert true_peak_dbfs(np.zeros((2, 100)), RATE) == -np.inf
    assert true_peak_dbfs(np.zeros((1, 0)), RATE) == -np.inf


@pytest.mark.parametrize("ceiling", [-1.0, 0.0, -12.0])
@pytest.mark.parametrize("name", LOUD)
def test_no_true_peak_exceeds_the_ceiling(name: str, ceiling: float) -> None:
    wave = LOUD[name].astype(np.float32)
    limited = limit_true_peak(wave, RATE, ceiling)
    assert limited.shape == wave.shape
    assert limited.dtype == np.float32
    assert true_peak_dbfs(limited, RATE) <= ceiling
    assert true_peak_dbfs(limited, RATE) >= ceiling - 0.5  # and no lower than needed


@pytest.mark.parametrize("name", LOUD)
def test_a_stream_is_limited_however_it_is_cut(name: str) -> None:
    wave = LOUD[name].astype(np.float32)
    whole = streamed(wave, 10**6)
    assert whole.shape == wave.shape
    assert true_peak_dbfs(whole, RATE) <= 0.0
    for cut in (1_000, 8_192, 12_345):
        np.testing.assert_array_equal(streamed(wave, cut), whole)


@pytest.mark.parametrize("name", LOUD)
def test_samples_alone_can_be_limited(name: str) -> None:
    limited = streamed(LOUD[name].astype(np.float32), 777, between_samples=False)
    assert limited.shape == LOUD[name].shape
    assert 0.98 <= np.abs(limited).max() <= 1 + 1e-6


def test_what_is_below_the_ceiling_passes_to_the_bit() -> None:
    wave = NOISE.uniform(-0.5, 0.5, (2, 30_000)).astype(np.float32)
    assert limit_true_peak(wave, RATE, -1.0) is wave
    np.testing.assert_array_equal(streamed(wave, 1_000), wave)


def test_the_gain_falls_just_before_a_peak_and_returns_after_it() -> None:
    wave = NOISE.uniform(-0.5, 0.5, (1, 2 * RATE)).astype(np.float32)
    wave[0, RATE] = 3.0
    limited = limit_true_peak(wave, RATE, 0.0)
    changed = np.flatnonzero(limited[0] != wave[0]) / RATE
    assert 1.0 - 0.012 < changed.min() < 1.0  # 5 ms of attack, for each of two passes at most
    assert changed.max() < 1.7
    gain = limited[0, RATE:] / wave[0, RATE:]
    assert (np.diff(gain[400:]) > -1e-6).all()


def test_both_channels_get_one_gain() -> None:
    wave = np.concatenate((sine(100, 2.0), sine(300, 0.2, phase=1.0)))
    limited = limit_true_peak(wave, RATE, -1.0)
    loud = np.abs(wave) > 0.05
    both = loud.all(axis=0)
    gains = limited[:, both] / wave[:, both]
    np.testing.assert_allclose(gains[0], gains[1], rtol=1e-4)


def test_a_limited_tone_has_no_offset() -> None:
    limited = limit_true_peak(sine(100, 4.0, seconds=1.0), RATE, -1.0)
    assert 20 * np.log10(np.abs(limited[:, RATE // 4 :].mean()) + 1e-12) < -70


@pytest.mark.parametrize("rate", [1_000, 8_000, 192_000])
@pytest.mark.parametrize("samples", [0, 1, 2, 3, 50])
def test_any_rate_and_length(rate: int, samples: int) -> None:
    wave = NOISE.normal(0, 3, (8, samples)).astype(np.float32)
    limited = limit_true_peak(wave, rate, -1.0)
    assert limited.shape == wave.shape
    assert true_peak_dbfs(limited, rate) <= -1.0


def test_samples_above_the_ceiling_are_counted() -> None:
    limiter = Limiter(RATE, 2, 0.0, between_samples=False)
    limiter.process(np.array([[1.0, -1.5, 0.2], [2.0, 0.0, -1.0]]))
    limiter.process(np.array([[-3.0], [0.0]]))
    assert limiter.samples_above == 3


def test_what_cannot_be_limited_is_refused() -> None:
    for ceiling in (np.nan, np.inf, 0.1):
        with pytest.raises(ConfigError, match="at most 0"):
            limit_true_peak(np.zeros((1, 9)), RATE, ceiling)
    with pytest.raises(AudioError, match="NaN"):
        Limiter(RATE, 1).process(np.array([[np.nan]]))
    with pytest.raises(AudioError, match="channels"):
        true_peak_dbfs(np.zeros(9), RATE)
