"""Losses between mels: cases with known answers."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bandtok.training.mel_losses import (
    flux_loss,
    loud_mel_loss,
    mel_loss,
    onset_loss,
    texture_loss,
)


def test_a_loud_cell_weighs_by_the_root_of_its_magnitude() -> None:
    mel = torch.tensor([[[0.0], [-2.0]]])
    quiet_wrong = mel + torch.tensor([[[0.0], [1.0]]])
    loud_wrong = mel + torch.tensor([[[1.0], [0.0]]])
    weight = math.exp(-1)
    assert float(loud_mel_loss(quiet_wrong, mel)) == pytest.approx(weight / (1 + weight))
    assert float(loud_mel_loss(loud_wrong, mel)) == pytest.approx(1 / (1 + weight))


def test_a_lone_tone_that_is_lost_costs_far_more_than_in_the_plain_distance() -> None:
    mel = torch.full((1, 128, 4), -11.5)
    mel[0, 40] = -1.0
    lost = torch.full((1, 128, 4), -11.5)
    plain = float((lost - mel).abs().mean())
    assert float(loud_mel_loss(lost, mel)) > 20 * plain
    assert float(loud_mel_loss(mel, mel)) == 0.0


def test_every_frame_counts_whatever_its_level() -> None:
    mel = torch.zeros(1, 8, 2)
    mel[..., 1] = -9.0
    away = mel.clone()
    away[..., 1] += 1.0
    assert float(loud_mel_loss(away, mel)) == pytest.approx(0.5)


LOSSES = (mel_loss, loud_mel_loss, texture_loss, flux_loss, onset_loss)
SILENCE = -2.8
"""Of a normalized mel."""


def noise(frames: int = 64) -> Tensor:
    return torch.randn(2, 128, frames, generator=torch.Generator().manual_seed(0))


def onsets(first: int, every: int = 16, frames: int = 64) -> Tensor:
    """A normalized mel of silence with attacks in all bins that decay over four frames."""
    mel = torch.full((1, 128, frames), SILENCE)
    for start in range(first, frames - 4, every):
        mel[..., start : start + 4] += torch.tensor([3.0, 2.0, 1.0, 0.5])
    return mel


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("mel", [noise(), onsets(3), torch.full((1, 128, 64), SILENCE), noise(8)])
def test_equal_mels_have_no_loss(loss: Callable[..., Tensor], mel: Tensor) -> None:
    assert float(loss(mel, mel)) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("reference", [torch.full((1, 128, 64), SILENCE), onsets(3)])
def test_gradients_at_silence_are_finite(loss: Callable[..., Tensor], reference: Tensor) -> None:
    estimate = torch.full((1, 128, 64), SILENCE, requires_grad=True)
    loss(estimate, reference).backward()
    assert estimate.grad is not None
    assert torch.isfinite(estimate.grad).all()


def test_the_mel_loss_is_the_mean_absolute_difference() -> None:
    mel = noise()
    assert float(mel_loss(mel + 0.25, mel)) == pytest.approx(0.25)


def test_blur_has_a_texture_loss_and_another_noise_of_the_same_kind_hardly_any() -> None:
    mel, other = noise(512), noise(512).flip(-1)
    blurred = F.avg_pool2d(mel[:, None], 5, 1, padding=2)[:, 0]
    assert float(texture_loss(blurred, mel)) > 0.6
    assert float(texture_loss(other, mel)) < 0.35
    # the plain distance prefers the blur
    assert float(mel_loss(blurred, mel)) < float(mel_loss(other, mel))


def test_texture_that_is_twice_as_rough_has_a_loss_of_one() -> None:
    mel = noise()
    assert float(texture_loss(2 * mel, mel)) == pytest.approx(1.0, rel=0.02)


def test_shifted_onsets_raise_the_onset_loss_and_their_strength_does_not() -> None:
    mel = onsets(3)
    weaker = SILENCE + 0.5 * (mel - SILENCE)
    assert float(onset_loss(weaker, mel)) == pytest.approx(0.0, abs=1e-4)
    late = [float(onset_loss(onsets(3 + shift), mel)) for shift in (1, 2, 8)]
    assert min(late) > 0.9
    assert float(onset_loss(torch.full_like(mel, SILENCE), mel)) == pytest.approx(1.0, abs=1e-4)


def test_flux_counts_the_strength_of_rises_at_their_frame() -> None:
    mel = onsets(3)
    weaker = SILENCE + 0.5 * (mel - SILENCE)
    assert float(flux_loss(weaker, mel)) == pytest.approx(0.5, rel=1e-3)
    assert float(flux_loss(onsets(5), mel)) == pytest.approx(2.0, rel=1e-3)
    assert float(flux_loss(mel + 1, mel)) == pytest.approx(0.0, abs=1e-4)
