"""The discriminators' part of a training step, the same for mel images and for waveforms."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from bandtok.training.adversarial_losses import (
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from bandtok.training.loop import update


class DiscriminatorTrainer:
    """A discriminator with its optimizer.

    Args:
        discriminator: scores tensors; returns a list of DiscriminatorOutput.
        learning_rate: of its optimizer.
    """

    def __init__(self, discriminator: nn.Module, learning_rate: float) -> None:
        self.discriminator = discriminator
        self.optimizer: Optimizer = AdamW(
            discriminator.parameters(), learning_rate, betas=(0.5, 0.9)
        )

    def step(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Update on the detached fake, then score the fake for the generator.

        Returns:
            `adversarial_loss` and `feature_matching_loss` with gradients for what made `fake` and
            none for the discriminator; `discriminator_loss` without any.
        """
        loss = discriminator_loss(self.discriminator(real), self.discriminator(fake.detach()))
        update(loss, self.discriminator, self.optimizer)
        self.discriminator.requires_grad_(False)
        scored = self.discriminator(fake)
        with torch.no_grad():
            reference = self.discriminator(real)
        self.discriminator.requires_grad_(True)
        return {
            "discriminator_loss": loss.detach(),
            "adversarial_loss": adversarial_loss(scored),
            "feature_matching_loss": feature_matching_loss(reference, scored),
        }
