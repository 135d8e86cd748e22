"""One round of the adversary: who is updated, and who gets gradients."""

from __future__ import annotations

import torch

from bandtok.training.discriminator_trainer import DiscriminatorTrainer
from bandtok.training.discriminators import MultiScaleMelDiscriminator


def test_discriminator_learns_and_the_generator_step_leaves_it_alone() -> None:
    torch.manual_seed(0)
    discriminator_trainer = DiscriminatorTrainer(
        MultiScaleMelDiscriminator(2, channels=(4, 8)), learning_rate=1e-2
    )
    real, fake = torch.randn(2, 64, 64), torch.zeros(2, 64, 64, requires_grad=True)
    before = [p.clone() for p in discriminator_trainer.discriminator.parameters()]
    losses = discriminator_trainer.step(real, fake)
    after = list(discriminator_trainer.discriminator.parameters())
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert fake.grad is None, "the discriminator's update must not reach the generator"
    for parameter in after:
        parameter.grad = None
    (losses["adversarial_loss"] + losses["feature_matching_loss"]).backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in after)
    assert not losses["discriminator_loss"].requires_grad


def test_discriminator_comes_to_tell_them_apart() -> None:
    torch.manual_seed(0)
    discriminator_trainer = DiscriminatorTrainer(
        MultiScaleMelDiscriminator(1, channels=(8, 8)), learning_rate=1e-2
    )
    real, fake = torch.randn(4, 32, 32), torch.zeros(4, 32, 32)
    losses = [
        float(discriminator_trainer.step(real, fake)["discriminator_loss"]) for _ in range(30)
    ]
    assert losses[-1] < 0.5 * losses[0]
