"""Loudness against the values that BS.1770 gives, and normalization to a target."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import AudioError, ConfigError
from bandtok.signal.audio import Audio
from bandtok.signal.loudness import (
    MAX_STREAM_GAIN_DB,
    integrated_loudness,
    k_weighting,
    normalize_loudness,
    normalize_stream,
)
from bandtok.signal.true_peak import true_peak_dbfs

RATE = 44_100


def sine(
    rate: int = RATE, seconds: float = 3.0, dbfs: float = 0.0, hertz: float = 997
) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * time)).astype(np.float32)[None]


def music(dbfs: float, seconds: float = 6.0) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 1, (1, round(RATE * seconds)))
    beat = np.exp(-8 * (np.arange(noise.shape[1]) / RATE % 0.5))
    return (10 ** (dbfs / 20) * noise * beat).astype(np.float32)


def test_the_filter_is_the_recommendations_at_48_khz() -> None:
    numerator, denominator = k_weighting(48_000)
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285]
    poles = np.convolve(
        [1, -1.69065929318241, 0.73248077421585], [1, -1.99004745483398, 0.99007225036621]
    )
    np.testing.assert_allclose(numerator, np.convolve(shelf, [1, -2, 1]), atol=1e-10)
    np.testing.assert_allclose(denominator, poles, atol=1e-10)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000, 192_000])
def test_a_full_scale_tone_of_997_hz_in_one_channel_is_minus_3(rate: int) -> None:
    tone = sine(rate)
    one_of_two = np.concatenate((tone, np.zeros_like(tone)))
    assert integrated_loudness(one_of_two, rate) == pytest.approx(-3.01, abs=0.05)
    assert integrated_loudness(tone, rate) == pytest.approx(-3.01, abs=0.05)
    both = np.concatenate((tone, tone))
    assert integrated_loudness(both, rate) == pytest.approx(0.0, abs=0.05)


def test_surround_channels_are_weighted() -> None:
    tone, silence = sine(48_000), np.zeros_like(sine(48_000))

    def alone(index: int, channels: int) -> float:
        rows = [tone if i == index else silence for i in range(channels)]
        return integrated_loudness(np.concatenate(rows), 48_000)

    assert alone(4, 5) == pytest.approx(-3.01 + 10 * np.log10(1.41), abs=0.02)
    assert alone(3, 6) == -np.inf  # low-frequency effects do not count
    assert alone(7, 8) == pytest.approx(-3.01, abs=0.02)


def test_silence_and_quiet_parts_are_gated() -> None:
    """EBU Tech 3341, cases 3 and 4: tones of -36 and -72 dBFS around one of -23 dBFS."""
    parts = [sine(48_000, 10, -36), sine(48_000, 60, -23), sine(48_000, 10, -36)]
    stereo = np.repeat(np.concatenate(parts, axis=1), 2, axis=0)
    assert integrated_loudness(stereo, 48_000) == pytest.approx(-23.0, abs=0.1)
    quiet = np.repeat(sine(48_000, 10, -72), 2, axis=0)
    framed = np.concatenate((quiet, stereo, quiet), axis=1)
    assert integrated_loudness(framed, 48_000) == pytest.approx(-23.0, abs=0.1)
    # Without gates it would be 10 log10(3 / 4) = 1.25 LU less.
    assert integrated_loudness(np.zeros((2, RATE)), RATE) == -np.inf
    assert integrated_loudness(quiet, 48_000) == -np.inf


def test_pieces_of_the_transform_fit_together() -> None:
    """20 s are three transforms; a steady tone is as loud as 3 s of it."""
    long, short = (integrated_loudness(sine(hertz=60, seconds=s), RATE) for s in (20, 3))
    assert long == pytest.approx(short, abs=0.02)


@pytest.mark.parametrize("level", [-45.0, -30.0, -12.0, 0.0, 30.0])
@pytest.mark.parametrize("target", [-16.0, -23.0])
def test_music_of_any_level_gets_the_target(level: float, target: float) -> None:
    result = normalize_loudness(Audio(music(level), RATE), target)
    assert integrated_loudness(result.waveform, RATE) == pytest.approx(target, abs=0.3)
    assert true_peak_dbfs(result.waveform, RATE) <= -1.0


def test_stereo_keeps_its_balance() -> None:
    left = music(-30)
    result = normalize_loudness(Audio(np.concatenate((left, 0.5 * left)), RATE)).waveform
    np.testing.assert_allclose(result[1], 0.5 * result[0], atol=1e-6)


def test_one_gain_for_the_whole() -> None:
    wave = np.concatenate((music(-40, 3), music(-30, 3)), axis=1)
    result = normalize_loudness(Audio(wave, RATE), -30.0).waveform
    gain = result[np.abs(wave) > 1e-4] / wave[np.abs(wave) > 1e-4]
    assert gain.min() == pytest.approx(gain.max(), rel=1e-5)


def test_silence_stays_silent_and_noise_below_the_gate_as_it_is() -> None:
    for wave in (np.zeros((2, RATE)), np.zeros((1, 0)), 1e-5 * sine()):
        result = normalize_loudness(Audio(wave, RATE)).waveform
        np.testing.assert_array_equal(result, wave)


def test_clicks_are_not_blown_up() -> None:
    clicks = np.zeros((1, 4 * RATE), np.float32)
    clicks[0, ::RATE] = 0.5
    result = normalize_loudness(Audio(clicks, RATE)).waveform
    assert true_peak_dbfs(result, RATE) <= -1.0
    lowered = 20 * np.log10(clicks.max()) + 12 - 1 - true_peak_dbfs(clicks, RATE)
    assert integrated_loudness(result, RATE) < -35
    assert lowered < 12.5


@pytest.mark.parametrize("samples", [1, 2, 100, 17_639, 17_640])
@pytest.mark.parametrize("level", [1e-3, 1.0, 1e6])
def test_short_clips(samples: int, level: float) -> None:
    noise = level * np.random.default_rng(0).uniform(-1, 1, (2, samples)).astype(np.float32)
    result = normalize_loudness(Audio(noise, RATE)).waveform
    assert result.shape == noise.shape
    assert true_peak_dbfs(result, RATE) <= -1.0
    assert integrated_loudness(result, RATE) <= -15.8


def test_the_gain_of_a_stream_begins_with_its_beginning_and_glides() -> None:
    quiet, loud = music(-40, 3), music(-34, 20)
    blocks = [quiet, *np.array_split(loud, 20, axis=1)]
    result = np.concatenate(list(normalize_stream(blocks, RATE, -40.0)), axis=1)
    assert result.shape == (1, 23 * RATE)
    gain = 10 ** ((-40.0 - integrated_loudness(quiet, RATE)) / 20)
    np.testing.assert_allclose(result[:, : 3 * RATE], gain * quiet, rtol=1e-5)
    gains_db = 20 * np.log10(np.median(np.abs(result[:, 3 * RATE :] / loud).reshape(20, -1), 1))
    steps = np.diff(gains_db)
    assert (steps > -1.01).all()
    assert (steps < 0.01).all()
    assert integrated_loudness(result[:, 18 * RATE :], RATE) == pytest.approx(-40.0, abs=0.3)


def test_a_stream_that_grows_loud_is_limited() -> None:
    blocks = [np.zeros((1, RATE)), music(-60, 2), music(0, 2)]
    result = np.concatenate(list(normalize_stream(blocks, RATE)), axis=1)
    assert result.shape == (1, 5 * RATE)
    assert not result[:, :RATE].any()
    raised = integrated_loudness(result[:, RATE : 2 * RATE], RATE)
    assert raised - integrated_loudness(blocks[1], RATE) == pytest.approx(MAX_STREAM_GAIN_DB, abs=2)
    assert true_peak_dbfs(result, RATE) <= -1.0
    assert not list(normalize_stream([], RATE))


def test_what_cannot_be_normalized_is_refused() -> None:
    for target in (np.nan, 1.0, -61.0, np.inf):
        with pytest.raises(ConfigError, match="LUFS"):
            normalize_loudness(Audio(sine(), RATE), target)
    with pytest.raises(ConfigError, match="at most 0"):
        normalize_loudness(Audio(sine(), RATE), -16, 3)
    with pytest.raises(AudioError, match="finite"):
        integrated_loudness(np.array([[np.nan]]), RATE)
    with pytest.raises(AudioError, match="channels"):
        integrated_loudness(np.zeros(9), RATE)
