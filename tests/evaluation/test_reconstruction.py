"""Distances: zero for the same, known for a gain, typed errors for what cannot be compared."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from bandtok.errors import AudioError, ConfigError, GridError, MissingDependency
from bandtok.evaluation import reconstruction
from bandtok.evaluation.reconstruction import (
    MelDistanceMeter,
    compare_mels,
    mel_distance,
    si_sdr_db,
    stft_distance,
    visqol_score,
)
from bandtok.signal.audio import Audio
from bandtok.signal.mel import MelConfig

RATE = 44_100


def noise(seconds: float = 0.5, seed: int = 0, level: float = 0.2, channels: int = 1) -> Audio:
    generator = np.random.default_rng(seed)
    shape = (channels, round(seconds * RATE))
    return Audio((level * generator.standard_normal(shape)).astype(np.float32), RATE)


def scaled(audio: Audio, gain: float) -> Audio:
    return Audio(audio.waveform * np.float32(gain), audio.sample_rate)


def silence(seconds: float = 0.5) -> Audio:
    return Audio(np.zeros((1, round(seconds * RATE)), np.float32), RATE)


def test_identical_recordings_are_at_distance_zero() -> None:
    audio = noise()
    distance = mel_distance(audio, audio)
    assert (distance.all_bins, distance.below, distance.below_hz) == (0.0, 0.0, 15_000.0)
    assert stft_distance(audio, audio).total == 0.0


def measured_in_pieces(reference: Audio, estimate: Audio, size: int) -> float | None:
    meter = MelDistanceMeter(RATE)
    for start in range(0, reference.waveform.shape[1], size):
        part = slice(start, start + size)
        meter.add(reference.waveform[0, part], estimate.waveform[0, part])
    result = meter.result()
    return None if result is None else result.below


@pytest.mark.parametrize("size", [999, 100_000])
def test_a_stream_is_as_far_apart_as_the_whole(size: int) -> None:
    first, second = noise(), noise(seed=1, level=0.1)
    expected = mel_distance(first, second).below
    assert measured_in_pieces(first, second, size) == pytest.approx(expected, abs=1e-6)


def test_a_long_stream_is_measured_by_the_minute() -> None:
    first = silence(61.0)
    second = Audio(first.waveform + 0.1 * (np.arange(61 * RATE) > 60 * RATE), RATE)
    assert measured_in_pieces(first, second, 44_100) == pytest.approx(
        measured_in_pieces(first, second, 10_000_000), abs=1e-6
    )
    assert measured_in_pieces(first, first, 44_100) == 0.0


def test_a_stream_shorter_than_a_mel_frame_has_no_distance() -> None:
    assert measured_in_pieces(silence(0.01), silence(0.01), 100) is None


def test_a_gain_is_a_constant_offset_in_the_logarithm() -> None:
    audio = noise()
    distance = mel_distance(audio, scaled(audio, 0.5))
    assert distance.all_bins == pytest.approx(math.log(2), abs=1e-3)
    assert distance.below == pytest.approx(math.log(2), abs=1e-3)
    spectral = stft_distance(audio, scaled(audio, 0.5))
    assert spectral.spectral_convergence == pytest.approx(0.5, abs=1e-3)
    assert spectral.log_magnitude == pytest.approx(math.log(2), abs=1e-3)
    assert spectral.total == pytest.approx(0.5 + math.log(2), abs=2e-3)


def test_the_mel_distance_is_symmetric() -> None:
    first, second = noise(seed=1), noise(seed=2, level=0.1)
    assert mel_distance(first, second) == mel_distance(second, first)


def test_the_second_figure_ignores_what_lies_above_the_limit() -> None:
    audio = noise()
    spectrum = np.fft.rfft(audio.waveform)
    hertz = np.fft.rfftfreq(audio.waveform.shape[1], 1 / RATE)
    low = Audio(np.fft.irfft(spectrum * (hertz < 16_500)).astype(np.float32), RATE)
    distance = mel_distance(audio, low)
    assert distance.below < 0.05 < 0.3 < distance.all_bins


def test_silence_against_silence_is_zero_and_against_sound_is_far() -> None:
    assert mel_distance(silence(), silence()).all_bins == 0.0
    assert mel_distance(silence(), noise()).all_bins > 3


def test_stereo_is_compared_as_mono_and_rates_are_brought_together() -> None:
    stereo = noise(channels=2)
    assert mel_distance(stereo, stereo.mono()).all_bins == 0.0
    resampled = noise().resampled(48_000)
    assert mel_distance(noise(), resampled).below < 0.02


@pytest.mark.parametrize("measure", [mel_distance, stft_distance, visqol_score, si_sdr_db])
def test_lengths_must_match(measure) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AudioError, match="same length"):
        measure(noise(1.1), noise(1.0))


def test_what_is_too_short_is_refused() -> None:
    with pytest.raises(AudioError):
        mel_distance(noise(0.005), noise(0.005))
    with pytest.raises(AudioError, match="2048"):
        stft_distance(noise(0.005), noise(0.005))
    with pytest.raises(AudioError, match="1 s"):
        visqol_score(noise(0.5), noise(0.5))


def test_nan_never_becomes_a_number() -> None:
    with pytest.raises(AudioError, match="NaN"):
        mel_distance(noise(), Audio(np.full((1, RATE // 2), np.nan, np.float32), RATE))
    mel = np.zeros((128, 4))
    with pytest.raises(GridError, match="NaN"):
        compare_mels(mel, mel * math.nan, MelConfig())
    with pytest.raises(GridError, match="same shape"):
        compare_mels(mel, mel[:, :3], MelConfig())


def test_a_limit_below_every_bin_is_refused() -> None:
    with pytest.raises(ConfigError, match="below_hz"):
        mel_distance(noise(), noise(), below_hz=1.0)


@pytest.mark.slow
def test_visqol_ranks_a_clean_copy_above_a_noisy_one() -> None:
    clean = noise(1.0, level=0.05)
    noisy = Audio(clean.waveform + noise(1.0, seed=5, level=0.1).waveform, RATE)
    best = visqol_score(clean, clean)
    assert best > 4.5
    assert 1.0 <= visqol_score(clean, noisy) < best - 0.5


def test_si_sdr_of_known_mixtures() -> None:
    rng = np.random.default_rng(0)
    sound, hiss = rng.standard_normal((2, 40_000))
    sound -= sound.mean()
    hiss -= hiss.mean()
    hiss -= sound * (hiss @ sound) / (sound @ sound)  # nothing of the sound is left in it
    hiss *= np.sqrt((sound @ sound) / (hiss @ hiss))
    original = Audio(0.01 * sound[None].astype(np.float32), 44_100)
    for db in (20.0, 0.0, -30.0):
        mixed = 0.01 * (sound + 10 ** (-db / 20) * hiss)
        for gain, offset in ((1.0, 0.0), (0.3, 0.0), (-1.0, 0.1)):
            estimate = Audio((gain * mixed + offset)[None].astype(np.float32), 44_100)
            assert si_sdr_db(original, estimate) == pytest.approx(db, abs=0.02)
    assert si_sdr_db(original, original) > 100
    assert si_sdr_db(silence(), noise()) is None
    assert si_sdr_db(noise(), silence()) is None


def test_visqol_refuses_silence() -> None:
    with pytest.raises(AudioError, match="silence"):
        visqol_score(noise(1.0), silence(1.0))


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    reconstruction._visqol_meter.cache_clear()
    monkeypatch.setitem(sys.modules, "visqol", None)
    with pytest.raises(MissingDependency, match=r"^visqol is not .*bandtok\[evaluate\]'$"):
        visqol_score(noise(1.0), noise(1.0))
