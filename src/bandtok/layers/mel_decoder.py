"""Vectors on the image grid to a normalised mel image: the mirror of the encoder."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from bandtok.layers.blocks import ChannelNorm2d, ResidualBlock2d, RowEmbedding
from bandtok.layers.mel_image import MelImageConfig


class MelDecoder(nn.Module):
    """Convolutions at an eighth, then at a quarter of the mel's resolution."""

    def __init__(self, config: MelImageConfig, in_dim: int) -> None:
        super().__init__()
        self.patch = config.patch
        base, grid = config.base_channels, config.grid_channels
        self.grid_in = nn.Conv2d(in_dim, grid, 1)
        self.grid_rows = RowEmbedding(grid, config.image_rows)
        self.grid_blocks = nn.Sequential(
            *(ResidualBlock2d(grid) for _ in range(config.decoder_grid_blocks))
        )
        self.base_in = nn.Conv2d(grid, 4 * base, 1)
        self.base_rows = RowEmbedding(base, 2 * config.image_rows)
        self.base_blocks = nn.Sequential(
            *(ResidualBlock2d(base) for _ in range(config.decoder_base_blocks))
        )
        self.norm = ChannelNorm2d(base)
        self.out = nn.Conv2d(base, config.patch**2, 1)

    def forward(self, quantized: Tensor) -> Tensor:
        """Decode [batch, in_dim, rows, frames] to a mel image [batch, n_mels, mel_frames]."""
        image = self.grid_in(quantized.contiguous(memory_format=torch.channels_last))
        image = unfold(self.base_in(self.grid_blocks(self.grid_rows(image))), 2)
        image = self.out(self.norm(self.base_blocks(self.base_rows(image))))
        return unfold(image, self.patch)[:, 0]


def unfold(image: Tensor, size: int) -> Tensor:
    """Move channels back into `size` x `size` squares of positions, channels-last in memory."""
    return rearrange(image, "b (c p q) h w -> b c (h p) (w q)", p=size, q=size).contiguous(
        memory_format=torch.channels_last
    )
