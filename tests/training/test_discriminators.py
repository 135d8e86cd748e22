"""Discriminators are 1-Lipschitz layer by layer: spectral normalization holds on every layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bandtok.training.discriminators import (
    MultiResolutionSpectrumDiscriminator,
    MultiScaleMelDiscriminator,
)


@pytest.mark.parametrize(
    ("discriminator", "shape"),
    [
        (MultiScaleMelDiscriminator(2, channels=(4, 8)), (1, 32, 32)),
        (MultiResolutionSpectrumDiscriminator((256, 128), channels=(4, 8)), (1, 1, 4096)),
    ],
    ids=["mel", "spectrum"],
)
def test_the_largest_singular_value_of_every_layer_is_one(
    discriminator: nn.Module, shape: tuple[int, ...]
) -> None:
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.mul_(20.0)
        for _ in range(60):  # each pass in training mode is one power iteration
            discriminator.train()(torch.zeros(shape))
    layers = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert len(layers) == 6
    for layer in layers:
        norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
        assert float(norm) == pytest.approx(1.0, abs=0.02)
