"""Adversarial losses at known scores, and discriminators' shapes."""

from __future__ import annotations

import pytest
import torch

from bandtok.training.adversarial_losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from bandtok.training.discriminators import (
    DiscriminatorOutput,
    MultiResolutionSpectrumDiscriminator,
    MultiScaleMelDiscriminator,
)


def scored(score: float, feature: float = 0.0) -> list[DiscriminatorOutput]:
    features = [torch.full((1, 2, 3, 3), feature)]
    return [DiscriminatorOutput(scores=torch.full((1, 1, 3, 3), score), features=features)]


@pytest.mark.parametrize(
    ("real", "fake", "expected"),
    [(1.0, -1.0, 0.0), (3.0, -2.0, 0.0), (0.0, 0.0, 2.0), (-1.0, 1.0, 4.0), (0.5, -0.5, 1.0)],
)
def test_hinge_of_the_discriminator(real: float, fake: float, expected: float) -> None:
    assert float(discriminator_loss(scored(real), scored(fake))) == pytest.approx(expected)


def test_generator_wants_high_scores() -> None:
    assert float(adversarial_loss(scored(2.5))) == pytest.approx(-2.5)


def test_feature_matching_is_relative() -> None:
    assert float(feature_matching_loss(scored(0, 2.0), scored(0, 3.0))) == pytest.approx(0.5)
    assert float(feature_matching_loss(scored(0, 2.0), scored(0, 2.0))) == 0.0


def test_three_scales_each_half_the_last() -> None:
    outputs = MultiScaleMelDiscriminator(3, channels=(4, 8))(torch.randn(2, 128, 64))
    assert [tuple(j.scores.shape) for j in outputs] == [
        (2, 1, 32, 16),
        (2, 1, 16, 8),
        (2, 1, 8, 4),
    ]


def test_spectrum_discriminator_gives_gradients_to_the_waveform() -> None:
    waveform = torch.randn(1, 1, 4096, requires_grad=True)
    adversarial_loss(MultiResolutionSpectrumDiscriminator(channels=(4, 8))(waveform)).backward()
    assert waveform.grad is not None
    assert torch.isfinite(waveform.grad).all()
    assert waveform.grad.abs().sum() > 0
