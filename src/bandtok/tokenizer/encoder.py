"""Normalized mel image to vectors: [batch, n_mels, mel_frames] -> one a grid cell."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from bandtok.tokenizer.blocks import ChannelNorm2d, ResidualBlock2d, RowEmbedding
from bandtok.tokenizer.mel_image import MelImageConfig


class MelEncoder(nn.Module):
    """Convolutions at a quarter, then at an eighth of the mel's resolution."""

    def __init__(self, config: MelImageConfig, out_dim: int) -> None:
        super().__init__()
        self.patch = config.patch
        base, grid = config.base_channels, config.grid_channels
        self.base_in = nn.Conv2d(config.patch**2, base, 1)
        self.base_rows = RowEmbedding(base, 2 * config.image_rows)
        self.base_blocks = nn.Sequential(
            *(ResidualBlock2d(base) for _ in range(config.encoder_base_blocks))
        )
        self.grid_in = nn.Conv2d(4 * base, grid, 1)
        self.grid_rows = RowEmbedding(grid, config.image_rows)
        self.grid_blocks = nn.Sequential(
            *(ResidualBlock2d(grid) for _ in range(config.encoder_grid_blocks))
        )
        self.norm = ChannelNorm2d(grid)
        self.out = nn.Conv2d(grid, out_dim, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """Encode a normalized mel [batch, n_mels, mel_frames] to [batch, out_dim, rows, frames]."""
        image = self.base_blocks(self.base_rows(self.base_in(fold(mel[:, None], self.patch))))
        image = self.grid_blocks(self.grid_rows(self.grid_in(fold(image, 2))))
        latents: Tensor = self.out(self.norm(image))
        return latents


def fold(image: Tensor, size: int) -> Tensor:
    """Move `size` x `size` squares of positions into the channels, channels-last in memory."""
    return rearrange(image, "b c (h p) (w q) -> b (c p q) h w", p=size, q=size).contiguous(
        memory_format=torch.channels_last
    )
