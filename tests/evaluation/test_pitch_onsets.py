"""Pitch and onset measures on sounds with known answers."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
import torch

from bandtok.errors import AudioError, MissingDependency
from bandtok.evaluation.pitch_onsets import (
    PitchOnsetFeatures,
    onset_correlation,
    pitch_correlation,
    pitch_onset_features,
)
from bandtok.evaluation.reconstruction import log_mel
from bandtok.evaluation.signal_measures import total_variation_ratio
from bandtok.signal.mel import MelConfig

RATE = 44_100


def harmonic_tones(semitones: float = 0.0, seconds: float = 3.0) -> np.ndarray:
    """A melody of eight-partial tones with pauses between them."""
    time = np.arange(round(seconds * RATE)) / RATE
    samples = np.zeros_like(time)
    for number, midi in enumerate((57, 64, 60, 69, 62, 55)):
        hertz = 440 * 2 ** ((midi + semitones - 69) / 12)
        local = time - number * 0.5
        gate = (local >= 0) & (local < 0.45)
        partials = sum(np.sin(2 * np.pi * k * hertz * local) / k for k in range(1, 9))
        samples += gate * np.exp(-3 * local.clip(0)) * partials
    return (0.1 * samples).astype(np.float32)


def steady_tone(seconds: float = 3.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def clicks(offset_seconds: float = 0.0, seconds: float = 3.0) -> np.ndarray:
    """Four short noise bursts per second."""
    samples = np.zeros(round(seconds * RATE), np.float32)
    burst = 0.5 * np.random.default_rng(0).standard_normal(2_000) * np.exp(-np.arange(2_000) / 300)
    for start in np.arange(0.1, seconds - 0.3, 0.25):
        place = round((start + offset_seconds) * RATE)
        samples[place : place + 2_000] += burst.astype(np.float32)
    return samples


def blurred_over_time(waveform: np.ndarray, frames: int = 9) -> np.ndarray:
    """Average STFT magnitudes over neighboring frames, with the phase of the original."""
    window = torch.hann_window(2048)
    spectrum = torch.stft(torch.from_numpy(waveform), 2048, 512, window=window, return_complex=True)
    magnitude = torch.nn.functional.avg_pool1d(
        spectrum.abs()[None], frames, stride=1, padding=frames // 2
    )[0]
    blurred = torch.polar(magnitude, spectrum.angle())
    return torch.istft(blurred, 2048, 512, window=window, length=len(waveform)).numpy()


def features(waveform: np.ndarray) -> PitchOnsetFeatures:
    return pitch_onset_features(waveform, RATE)


def measured(first: np.ndarray, second: np.ndarray) -> tuple[float | None, float | None]:
    pair = (features(first), features(second))
    return pitch_correlation(*pair), onset_correlation(*pair)


def flicker(first: np.ndarray, second: np.ndarray) -> float:
    config = MelConfig()
    mels = [log_mel(config)(waveform) for waveform in (first, second)]
    found = total_variation_ratio(*mels, config).flicker
    assert found is not None
    return found


def test_identical_sounds_correlate_fully_at_any_level() -> None:
    tones = harmonic_tones()
    assert measured(tones, tones) == pytest.approx((1.0, 1.0))
    pitch, _ = measured(tones, np.float32(0.1) * tones)
    assert pitch is not None
    assert pitch > 0.9


def test_half_a_semitone_of_detuning_lowers_pitch() -> None:
    pitch, onsets = measured(harmonic_tones(), harmonic_tones(0.5))
    assert pitch is not None
    assert onsets is not None
    assert pitch < 0.85
    assert onsets > 0.9  # same rhythm
    slightly, _ = measured(harmonic_tones(), harmonic_tones(0.05))
    assert slightly is not None
    assert slightly > 0.97


def test_blur_over_time_lowers_flicker_and_onsets_but_not_pitch() -> None:
    hiss = np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32)
    sound = steady_tone() + np.float32(0.01) * hiss
    blurred = blurred_over_time(sound)
    assert flicker(sound, blurred) < 0.87
    pitch, _ = measured(sound, blurred)
    assert pitch is not None
    assert pitch > 0.85
    _, onsets = measured(clicks(), blurred_over_time(clicks(), 21))
    assert onsets is not None
    assert onsets < 0.9


def test_added_noise_raises_flicker() -> None:
    tone = steady_tone()
    noise = np.random.default_rng(2).standard_normal(len(tone)).astype(np.float32)
    assert flicker(tone, tone + np.float32(0.01) * noise) > 2


def test_a_shifted_onset_train_lowers_onset_correlation() -> None:
    _, same = measured(clicks(), clicks())
    _, shifted = measured(clicks(), clicks(0.1))
    assert same == pytest.approx(1.0)
    assert shifted is not None
    assert shifted < 0.3


def test_onsets_are_counted() -> None:
    assert features(clicks()).onsets_per_second == pytest.approx(11 / 3, abs=0.34)
    assert features(np.zeros(RATE, np.float32)).onsets_per_second == 0.0


def test_silence_has_no_correlation() -> None:
    silence = np.zeros(2 * RATE, np.float32)
    assert measured(silence, silence) == (None, None)
    assert measured(silence, harmonic_tones(seconds=2.0)) == (None, None)
    assert measured(harmonic_tones(seconds=2.0), silence) == (None, None)


@pytest.mark.parametrize("samples", [1, 100, 2_047, 2_048, 20_000, 41_200, 50_000, 65_537])
def test_short_sounds_give_numbers_or_none_without_warnings(samples: int) -> None:
    sound = harmonic_tones()[:samples]
    found = features(sound)
    pitch, onsets = measured(sound, sound)
    assert (pitch is None) == (samples <= 41_200)
    assert (found.onsets_per_second is None) == (samples < 2_048)
    if pitch is not None:
        assert pitch == pytest.approx(1.0)
        assert found.cqt is not None
        assert found.cqt.shape == (216, 1 + samples // 512)
    assert onsets is None or onsets == pytest.approx(1.0)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(AudioError, match="mono"):
        pitch_onset_features(np.zeros((2, RATE), np.float32), RATE)
    with pytest.raises(AudioError, match="8,000"):
        pitch_onset_features(np.zeros(RATE, np.float32), 4_000)
    with pytest.raises(AudioError, match="same length"):
        measured(harmonic_tones(), harmonic_tones(seconds=2.0))


def test_without_librosa_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(ImportError):
        importlib.import_module("librosa")
    with pytest.raises(MissingDependency, match=r"librosa.*bandtok\[evaluate\]"):
        features(clicks())
