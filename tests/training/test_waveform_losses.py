"""Losses between waveforms: cases with known answers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bandtok.errors import MissingDependency
from bandtok.signal.audio import load_audio
from bandtok.tagger.tagger import _log_mel, _samples
from bandtok.tagger.weights import musicnn_folder
from bandtok.training.perceptual import TaggerFeatureLoss, TaggerMel
from bandtok.training.waveform_losses import MultiResolutionMelLoss, PitchLoss, log_filterbank

RATE = 44_100
EXAMPLE = Path(__file__).parents[2] / "examples" / "audio" / "greece.flac"


def musicnn_installed() -> bool:
    try:
        musicnn_folder()
    except MissingDependency:
        return False
    return True


needs_musicnn = pytest.mark.skipif(not musicnn_installed(), reason="musicnn is not installed")


def tones(cents: float = 0.0, seconds: float = 0.5) -> Tensor:
    """A chord of three tones, detuned."""
    time = torch.arange(round(seconds * RATE), dtype=torch.float64) / RATE
    factor = 2 ** (cents / 1200)
    waves = [torch.sin(2 * math.pi * hertz * factor * time) for hertz in (220.0, 330.0, 1100.0)]
    return (0.1 * torch.stack(waves).sum(0)).float()[None, None]


@pytest.fixture(scope="module")
def music() -> Tensor:
    """Three seconds of the example, mono."""
    waveform = load_audio(EXAMPLE).mono().waveform
    return torch.from_numpy(waveform[:, 5 * RATE : 8 * RATE].copy())[None]


@pytest.fixture(scope="module")
def tagger_loss() -> TaggerFeatureLoss:
    return TaggerFeatureLoss(RATE)


def finite_gradient(loss: nn.Module, reference: Tensor) -> None:
    estimate = torch.zeros_like(reference, requires_grad=True)
    loss(estimate, reference).backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()


@pytest.mark.parametrize("loss", [MultiResolutionMelLoss(RATE), PitchLoss(RATE)])
def test_equal_waveforms_have_no_loss_and_silence_a_finite_gradient(loss: nn.Module) -> None:
    sound = tones()
    assert float(loss(sound, sound)) == 0.0
    finite_gradient(loss, torch.zeros_like(sound))
    finite_gradient(loss, sound)


def test_resolutions_measure_level() -> None:
    sound = torch.randn(1, 1, 8192, generator=torch.Generator().manual_seed(0)) * 0.1
    loss = MultiResolutionMelLoss(RATE)
    assert float(loss(sound * 0.5, sound)) == pytest.approx(math.log(2), rel=0.05)


def test_detuned_tones_raise_the_pitch_loss() -> None:
    loss = PitchLoss(RATE)
    found = [float(loss(tones(cents), tones())) for cents in (0.0, 10.0, 33.0, 100.0)]
    assert found[0] == 0.0
    assert found == sorted(found)
    assert found[3] > 3 * found[1] > 0.02


def test_the_pitch_loss_does_not_measure_level() -> None:
    noise = torch.randn(1, 1, RATE, generator=torch.Generator().manual_seed(0)) * 0.1
    assert float(PitchLoss(RATE)(0.5 * noise, noise)) < 1e-3


def test_the_pitch_loss_of_waveforms_shorter_than_its_window() -> None:
    loss, sound = PitchLoss(RATE), tones(seconds=0.1)
    assert sound.shape[-1] < 8192
    assert float(loss(sound, sound)) == 0.0
    assert float(loss(tones(100.0, seconds=0.1), sound)) > 0.01


def test_filters_of_a_logarithmic_axis_peak_at_their_centers() -> None:
    n_fft, low = 8192, 440.0
    filters = log_filterbank(RATE, n_fft, (low, 2 * low + 1))
    assert filters.shape == (37, n_fft // 2 + 1)
    assert filters.max() <= 1
    centers = (filters @ torch.arange(n_fft // 2 + 1.0)) / filters.sum(1) * RATE / n_fft
    expected = low * 2 ** (torch.arange(37) / 36)
    assert torch.allclose(centers, expected, atol=RATE / n_fft / 2)


@needs_musicnn
def test_the_tagger_loss_is_0_for_equal_waveforms_and_rises_with_noise(
    tagger_loss: TaggerFeatureLoss, music: Tensor
) -> None:
    noise = torch.randn(music.shape, generator=torch.Generator().manual_seed(0))
    found = [float(tagger_loss(music + level * noise, music)) for level in (0.0, 0.002, 0.05)]
    assert found[0] == 0.0
    assert found == sorted(found)
    assert found[2] > 2 * found[1] > 0.02


@needs_musicnn
def test_the_tagger_loss_has_a_finite_gradient_at_silence(
    tagger_loss: TaggerFeatureLoss, music: Tensor
) -> None:
    finite_gradient(tagger_loss, torch.zeros_like(music))
    finite_gradient(tagger_loss, music)
    assert not any(parameter.requires_grad for parameter in tagger_loss.parameters())


@pytest.mark.parametrize("rate", [RATE, 16_000])
def test_the_mel_of_the_tagger_is_close_to_its_own(music: Tensor, rate: int) -> None:
    samples = _samples(music[0, 0], RATE)
    if rate == 16_000:
        music = torch.from_numpy(samples)[None, None]
    own = _log_mel(samples).numpy()
    ours = TaggerMel(rate)(music)[0].numpy()
    assert abs(len(own) - len(ours)) <= 1
    frames = min(len(own), len(ours))
    # Resampling to 16 kHz, which ours does without, removes the two highest bins.
    own, ours = own[:frames, :-2], ours[:frames, :-2]
    # At 44.1 kHz the hop of 16 ms is rounded to a sample: frames drift apart by 0.4 ms in 3 s.
    bias, correlation = (0.02, 0.99) if rate == RATE else (1e-4, 0.9999)
    assert abs(float((ours - own).mean())) < bias
    assert np.corrcoef(own.ravel(), ours.ravel())[0, 1] > correlation
