"""Convolutional building blocks with a finite receptive field.

Images are [batch, channels, rows, columns]. Every normalization
works on the channels of one position: nothing here pools over time, so that an output never
depends on anything farther away than its receptive field.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm2d(nn.LayerNorm):
    """Layer normalization over the channels of each position of an image."""

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
        result: Tensor = image + self.project(F.silu(self.expand(self.norm(image))))
        return result


class RowEmbedding(nn.Module):
    """A learned vector per row of the image, so that a filter knows which frequency it sees."""

    def __init__(self, channels: int, rows: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, rows, 1) * 0.02)

    def forward(self, image: Tensor) -> Tensor:
        return image + self.weight
