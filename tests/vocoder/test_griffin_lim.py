"""Griffin-Lim: framing, fidelity to the mel, repeatability."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import ConfigError, GridError
from bandtok.evaluation.textbook_griffin_lim import textbook_griffin_lim
from bandtok.signal.mel import LogMel, MelConfig
from bandtok.vocoder.griffin_lim import _Framing, griffin_lim

CONFIG = MelConfig()
SAMPLES = 40 * CONFIG.hop_length


def music_like(samples: int = SAMPLES, seed: int = 0) -> np.ndarray:
    """A decaying chord over a quiet noise bed, [samples]."""
    time = np.arange(samples) / CONFIG.sample_rate
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220.0, 277.2, 329.6, 880.0))
    noise = np.random.default_rng(seed).standard_normal(samples)
    return (0.1 * chord * np.exp(-4 * (time % 0.25)) + 0.01 * noise).astype(np.float32)


def test_the_framing_inverts_itself_to_the_last_sample() -> None:
    framing = _Framing(CONFIG)
    waveform = music_like()
    assert np.allclose(framing.synthesize(framing.analyze(waveform)), waveform, atol=1e-5)


def test_the_framing_is_that_of_the_mel() -> None:
    framing = _Framing(CONFIG)
    waveform = music_like()
    mel = framing.filterbank @ np.abs(framing.analyze(waveform)).T
    assert np.allclose(np.log(mel.clip(CONFIG.floor)), LogMel(CONFIG)(waveform), atol=1e-3)


def test_output_has_the_mel_that_was_asked_for() -> None:
    log_mel = LogMel(CONFIG)
    mel = log_mel(music_like())
    waveform = griffin_lim(mel, CONFIG, num_iterations=32)
    assert waveform.shape == (SAMPLES,)
    distance = np.abs(log_mel(waveform) - mel).mean()
    assert distance < 0.08
    shifted = np.abs(log_mel(np.roll(waveform, CONFIG.hop_length // 2)) - mel).mean()
    assert distance < shifted / 2


def test_more_rounds_come_closer() -> None:
    log_mel = LogMel(CONFIG)
    mel = log_mel(music_like())
    few, many = (
        np.abs(log_mel(griffin_lim(mel, CONFIG, num_iterations=n)) - mel).mean() for n in (2, 24)
    )
    assert many < few / 2


@pytest.mark.parametrize("impulse_frame", [5, 20, 34])
def test_an_impulse_stays_where_it_was(impulse_frame: int) -> None:
    position = impulse_frame * CONFIG.hop_length + CONFIG.hop_length // 2
    waveform = np.zeros(SAMPLES, np.float32)
    waveform[position] = 0.9
    found = griffin_lim(LogMel(CONFIG)(waveform), CONFIG, num_iterations=30)
    energy = np.square(found)
    center = (energy * np.arange(SAMPLES)).sum() / energy.sum()
    assert abs(center - position) < CONFIG.hop_length / 2


def test_the_first_phases_can_be_given() -> None:
    truth = music_like()
    mel = LogMel(CONFIG)(truth)
    found = griffin_lim(mel, CONFIG, num_iterations=1, initial=truth)
    blind = griffin_lim(mel, CONFIG, num_iterations=1)
    assert np.square(found - truth).mean() < 0.2 * np.square(blind - truth).mean()


def test_silence_stays_silent() -> None:
    mel = np.full((CONFIG.n_mels, 8), CONFIG.silence)
    assert not griffin_lim(mel, CONFIG, num_iterations=3).any()


@pytest.mark.parametrize("mel_frames", [1, 2, 3])
def test_very_short_mels_work(mel_frames: int) -> None:
    mel = np.full((CONFIG.n_mels, mel_frames), -3.0)
    waveform = griffin_lim(mel, CONFIG, num_iterations=2)
    assert waveform.shape == (mel_frames * CONFIG.hop_length,)
    assert np.isfinite(waveform).all()
    assert griffin_lim(mel, CONFIG, num_iterations=1, initial=waveform).shape == waveform.shape


def test_same_seed_same_waveform() -> None:
    mel = LogMel(CONFIG)(music_like())
    first, again, other = (griffin_lim(mel, CONFIG, num_iterations=2, seed=s) for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_window_shorter_than_the_fft() -> None:
    config = MelConfig(n_fft=1024, win_length=800, hop_length=200, n_mels=64)
    log_mel = LogMel(config)
    mel = log_mel(music_like(80 * config.hop_length))
    waveform = griffin_lim(mel, config, num_iterations=24)
    assert np.abs(log_mel(waveform) - mel).mean() < 0.2


def test_bad_input_is_refused() -> None:
    mel = np.zeros((CONFIG.n_mels, 8))
    with pytest.raises(GridError, match="shape"):
        griffin_lim(mel[0], CONFIG)
    with pytest.raises(GridError, match="shape"):
        griffin_lim(mel[:64], CONFIG)
    with pytest.raises(GridError, match="NaN"):
        griffin_lim(mel * np.nan, CONFIG)
    with pytest.raises(GridError, match="initial"):
        griffin_lim(mel, CONFIG, initial=np.zeros(5))
    with pytest.raises(ConfigError, match="iterations"):
        griffin_lim(mel, CONFIG, num_iterations=-1)


@pytest.mark.slow
def test_the_textbook_version_lies_on_the_mel_and_is_the_weaker_one() -> None:
    config = MelConfig()
    time = np.arange(40 * 512) / 44_100
    chirp = 0.3 * np.sin(2 * np.pi * (300 + 900 * time) * time)
    clicks = np.zeros_like(chirp)
    clicks[:: 512 * 8] = 0.5
    log_mel = LogMel(config)
    mel = log_mel((chirp + clicks).astype(np.float32))

    def error(waveform: np.ndarray) -> float:
        return float(np.abs(log_mel(waveform) - mel).mean())

    textbook = textbook_griffin_lim(mel, config, num_iterations=16)
    assert textbook.shape == (40 * 512,)
    shifted = np.roll(textbook, 256)
    assert error(textbook) < error(shifted)
    assert error(griffin_lim(mel, config, num_iterations=16)) < error(textbook)
