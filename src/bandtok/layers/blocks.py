"""Convolutional building blocks with a finite receptive field.

Images are [batch, channels, rows, columns], signals [batch, channels, length]. Every normalisation
works on the channels of one position: nothing here pools over time, so that an output never
depends on anything farther away than its receptive field.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each position of an image."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ResidualBlock2d(nn.Module):
    """Two 3x3 convolutions around a non-linearity, added to their input; reaches 2 positions."""

    reach = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm2d(channels)
        self.expand = nn.Conv2d(channels, channels, 3, padding=1)
        self.project = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.trunc_normal_(self.project.weight, std=0.01)
        nn.init.zeros_(self.project.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor) -> Tensor:
        return image + self.project(F.silu(self.expand(self.norm(image))))


class RowEmbedding(nn.Module):
    """A learned vector per row of the image, so that a filter knows which frequency it sees."""

    def __init__(self, channels: int, rows: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, rows, 1) * 0.02)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.weight


class ConvNeXtBlock1d(nn.Module):
    """Depthwise convolution, then a pointwise network, scaled and added to the input.

    Source: Liu et al. 2022 (ConvNeXt), in one dimension as in Vocos (Siuzdak 2023).
    """

    kernel_size = 7
    reach = kernel_size // 2

    def __init__(self, channels: int, expansion: int, initial_scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            channels, channels, self.kernel_size, padding=self.reach, groups=channels
        )
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, channels * expansion)
        self.project = nn.Linear(channels * expansion, channels)
        self.scale = nn.Parameter(torch.full((channels,), initial_scale))

    def forward(self, signal: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(signal).transpose(1, 2))
        inner = self.scale * self.project(F.gelu(self.expand(inner), approximate="tanh"))
        return signal + inner.transpose(1, 2)
