"""Hinge losses and feature matching over lists of discriminator outputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from bandtok.training.discriminators import DiscriminatorOutput


def discriminator_loss(
    real: Sequence[DiscriminatorOutput], fake: Sequence[DiscriminatorOutput]
) -> Tensor:
    """Hinge loss of the discriminator, averaged over scales: 0 when all margins are kept."""
    return _mean(
        [
            F.relu(1 - r.scores).mean() + F.relu(1 + f.scores).mean()
            for r, f in zip(real, fake, strict=True)
        ]
    )


def adversarial_loss(fake: Sequence[DiscriminatorOutput]) -> Tensor:
    """Loss of the generator: minus the mean score of what it made, averaged over scales."""
    return _mean([-f.scores.mean() for f in fake])


def feature_matching_loss(
    real: Sequence[DiscriminatorOutput], fake: Sequence[DiscriminatorOutput]
) -> Tensor:
    """L1 distance of features, relative to the size of the real ones, averaged over layers."""
    return _mean(
        [
            (a.detach() - b).abs().mean() / a.detach().abs().mean().clamp(min=1e-3)
            for r, f in zip(real, fake, strict=True)
            for a, b in zip(r.features, f.features, strict=True)
        ]
    )


def _mean(losses: list[Tensor]) -> Tensor:
    return torch.stack(losses).mean()
