"""Griffin-Lim: framing, fidelity to the mel, repeatability."""

from __future__ import annotations

import math

import pytest
import torch

from bandtok.errors import ConfigError, GridError
from bandtok.evaluation.textbook_griffin_lim import textbook_griffin_lim
from bandtok.signal.mel import MelConfig
from bandtok.signal.torch_mel import TorchLogMel
from bandtok.vocoder.griffin_lim import _Framing, griffin_lim

CONFIG = MelConfig()
SAMPLES = 40 * CONFIG.hop_length


def music_like(samples: int = SAMPLES, seed: int = 0) -> torch.Tensor:
    """A decaying chord over a quiet noise bed, [1, 1, samples]."""
    time = torch.arange(samples) / CONFIG.sample_rate
    chord = sum(torch.sin(2 * math.pi * hertz * time) for hertz in (220.0, 277.2, 329.6, 880.0))
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    return (0.1 * chord * torch.exp(-4 * (time % 0.25)) + 0.01 * noise)[None, None]


def test_the_framing_inverts_itself_to_the_last_sample() -> None:
    framing = _Framing(CONFIG, torch.device("cpu"))
    waveform = music_like()[:, 0]
    assert torch.allclose(framing.synthesise(framing.analyse(waveform)), waveform, atol=1e-5)


def test_the_framing_is_that_of_the_mel() -> None:
    framing = _Framing(CONFIG, torch.device("cpu"))
    waveform = music_like()
    mel = (framing.filterbank @ framing.analyse(waveform[:, 0]).abs()).clamp(min=CONFIG.floor).log()
    assert torch.allclose(mel, TorchLogMel(CONFIG)(waveform), atol=1e-3)


def test_output_has_the_mel_that_was_asked_for() -> None:
    log_mel = TorchLogMel(CONFIG)
    mel = log_mel(music_like())
    waveform = griffin_lim(mel, CONFIG, num_iterations=32)
    assert waveform.shape == (1, 1, SAMPLES)
    distance = (log_mel(waveform) - mel).abs().mean()
    assert distance < 0.08
    shifted = (log_mel(waveform.roll(CONFIG.hop_length // 2, dims=-1)) - mel).abs().mean()
    assert distance < shifted / 2


def test_more_rounds_come_closer() -> None:
    log_mel = TorchLogMel(CONFIG)
    mel = log_mel(music_like())
    few, many = (
        (log_mel(griffin_lim(mel, CONFIG, num_iterations=n)) - mel).abs().mean() for n in (2, 24)
    )
    assert many < few / 2


@pytest.mark.parametrize("impulse_frame", [5, 20, 34])
def test_an_impulse_stays_where_it_was(impulse_frame: int) -> None:
    position = impulse_frame * CONFIG.hop_length + CONFIG.hop_length // 2
    waveform = torch.zeros(1, 1, SAMPLES)
    waveform[..., position] = 0.9
    found = griffin_lim(TorchLogMel(CONFIG)(waveform), CONFIG, num_iterations=30)[0, 0]
    energy = found.square()
    center = (energy * torch.arange(SAMPLES)).sum() / energy.sum()
    assert abs(center - position) < CONFIG.hop_length / 2


def test_the_first_phases_can_be_given() -> None:
    truth = music_like()
    mel = TorchLogMel(CONFIG)(truth)
    found = griffin_lim(mel, CONFIG, num_iterations=1, initial=truth)
    blind = griffin_lim(mel, CONFIG, num_iterations=1)
    assert (found - truth).square().mean() < 0.2 * (blind - truth).square().mean()


def test_silence_stays_silent() -> None:
    mel = torch.full((2, CONFIG.n_mels, 8), CONFIG.silence)
    assert griffin_lim(mel, CONFIG, num_iterations=3).abs().max() == 0


@pytest.mark.parametrize("mel_frames", [1, 2, 3])
def test_very_short_mels_work(mel_frames: int) -> None:
    mel = torch.full((1, CONFIG.n_mels, mel_frames), -3.0)
    waveform = griffin_lim(mel, CONFIG, num_iterations=2)
    assert waveform.shape == (1, 1, mel_frames * CONFIG.hop_length)
    assert torch.isfinite(waveform).all()
    assert griffin_lim(mel, CONFIG, num_iterations=1, initial=waveform).shape == waveform.shape


def test_batch_of_two_is_two_singles_for_given_phases() -> None:
    truth = torch.cat([music_like(seed=1), 0.3 * music_like(seed=2)])
    mel = TorchLogMel(CONFIG)(truth)
    together = griffin_lim(mel, CONFIG, num_iterations=2, initial=truth)
    alone = griffin_lim(mel[1:], CONFIG, num_iterations=2, initial=truth[1:])
    assert torch.allclose(together[1:], alone, atol=1e-5)


def test_same_seed_same_waveform() -> None:
    mel = TorchLogMel(CONFIG)(music_like())
    first, again, other = (griffin_lim(mel, CONFIG, num_iterations=2, seed=s) for s in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_window_shorter_than_the_fft() -> None:
    config = MelConfig(n_fft=1024, win_length=800, hop_length=200, n_mels=64)
    log_mel = TorchLogMel(config)
    mel = log_mel(music_like(80 * config.hop_length))
    waveform = griffin_lim(mel, config, num_iterations=24)
    assert (log_mel(waveform) - mel).abs().mean() < 0.2


def test_bad_input_is_refused() -> None:
    mel = torch.zeros(1, CONFIG.n_mels, 8)
    with pytest.raises(GridError, match="shape"):
        griffin_lim(mel[0], CONFIG)
    with pytest.raises(GridError, match="shape"):
        griffin_lim(mel[:, :64], CONFIG)
    with pytest.raises(GridError, match="NaN"):
        griffin_lim(mel * math.nan, CONFIG)
    with pytest.raises(GridError, match="initial"):
        griffin_lim(mel, CONFIG, initial=torch.zeros(1, 1, 5))
    with pytest.raises(ConfigError, match="iterations"):
        griffin_lim(mel, CONFIG, num_iterations=-1)


@pytest.mark.slow
def test_the_textbook_version_lies_on_the_mel_and_is_the_weaker_one() -> None:
    config = MelConfig()
    time = torch.arange(40 * 512) / 44_100
    chirp = 0.3 * torch.sin(2 * torch.pi * (300 + 900 * time) * time)
    clicks = torch.zeros_like(chirp)
    clicks[:: 512 * 8] = 0.5
    log_mel = TorchLogMel(config)
    mel = log_mel((chirp + clicks)[None, None])

    def error(waveform: torch.Tensor) -> float:
        return float((log_mel(waveform) - mel).abs().mean())

    textbook = textbook_griffin_lim(mel, config, num_iterations=16)
    assert textbook.shape == (1, 1, 40 * 512)
    shifted = textbook.roll(256, dims=-1)
    assert error(textbook) < error(shifted)
    assert error(griffin_lim(mel, config, num_iterations=16)) < error(textbook)
