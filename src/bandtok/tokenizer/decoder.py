"""Vectors on the image grid to a normalized mel image: the mirror of the encoder.

    latents [batch, in_dim, rows, frames] -> mel [batch, n_mels, mel_frames]

Optionally with a fine stage at half the mel's resolution and with noise as a second input. Knows
nothing of codes; the position of a frame in the piece only selects its noise.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from bandtok.tokenizer.blocks import ChannelNorm2d, ResidualBlock2d, RowEmbedding
from bandtok.tokenizer.mel_image import FINE_PATCH, NOISE_PERIOD_FRAMES, MelImageConfig


class MelDecoder(nn.Module):
    """Convolutions at an eighth, at a quarter and (optionally) at half of the mel's resolution."""

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
        self.base_noise = noise_input(config, base, scale=2)
        self.base_blocks = nn.Sequential(
            *(ResidualBlock2d(base) for _ in range(config.decoder_base_blocks))
        )
        self.norm = ChannelNorm2d(base)
        self.out = nn.Conv2d(base, config.patch**2, 1)
        self.fine = FineStage(config) if config.decoder_fine_blocks else None

    def forward(self, quantized: Tensor, first_frame: int = 0) -> Tensor:
        """Decode latents to a normalized mel image.

        Args:
            quantized: [batch, in_dim, rows, frames].
            first_frame: position of the first frame in the piece, which selects the noise; may be
                negative (context before the beginning).

        Returns:
            [batch, n_mels, mel_frames].
        """
        image = self.grid_in(quantized.contiguous(memory_format=torch.channels_last))
        image = unfold(self.base_in(self.grid_blocks(self.grid_rows(image))), 2)
        image = self.base_rows(image)
        if self.base_noise is not None:
            image = self.base_noise(image, first_frame)
        image = self.norm(self.base_blocks(image))
        mel = unfold(self.out(image), self.patch)
        if self.fine is not None:
            mel = mel + self.fine(image, first_frame)
        return mel[:, 0]


class FineStage(nn.Module):
    """Adds detail at half the mel's resolution; adds nothing before it is trained."""

    def __init__(self, config: MelImageConfig) -> None:
        super().__init__()
        channels, self.scale = config.decoder_fine_channels, config.patch // FINE_PATCH
        self.enter = nn.Conv2d(config.base_channels, self.scale**2 * channels, 1)
        self.rows = RowEmbedding(channels, config.mel.n_mels // FINE_PATCH)
        self.noise = noise_input(config, channels, scale=config.reduction // FINE_PATCH)
        self.blocks = nn.Sequential(
            *(ResidualBlock2d(channels) for _ in range(config.decoder_fine_blocks))
        )
        self.norm = ChannelNorm2d(channels)
        self.out = nn.Conv2d(channels, FINE_PATCH**2, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, image: Tensor, first_frame: int) -> Tensor:
        """Turn [batch, base_channels, ...] into what is added to the mel, [batch, 1, ...]."""
        image = self.rows(unfold(self.enter(image), self.scale))
        if self.noise is not None:
            image = self.noise(image, first_frame)
        return unfold(self.out(self.norm(self.blocks(image))), FINE_PATCH)


class NoiseInput(nn.Module):
    """Adds a projection of a noise image: random in training, a stored one in evaluation.

    The stored image repeats every `NOISE_PERIOD_FRAMES` token frames, so that a decoded frame
    depends on its position in the piece and not on how the codes are cut. It has no effect before
    it is trained.

    Source: the noise inputs of StyleGAN (Karras et al. 2019); ours is tied to the time axis.

    Args:
        noise_channels: of the noise image.
        channels: of the image that it is added to.
        rows: of both images.
        columns: of both images, per token frame.
    """

    tile: Tensor

    def __init__(self, noise_channels: int, channels: int, rows: int, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self.project = nn.Conv2d(noise_channels, channels, 1, bias=False)
        nn.init.zeros_(self.project.weight)
        tile = torch.randn(1, noise_channels, rows, NOISE_PERIOD_FRAMES * columns)
        self.register_buffer("tile", tile.half().float())  # exported weights are float16

    def forward(self, image: Tensor, first_frame: int) -> Tensor:
        """Return [batch, channels, rows, columns] with noise added, from token `first_frame` on."""
        if self.training:
            noise = torch.randn(
                len(image), *self.tile.shape[1:3], image.shape[3], device=image.device
            )
        else:
            first = first_frame * self.columns
            positions = torch.arange(first, first + image.shape[3], device=image.device)
            noise = self.tile[..., positions % self.tile.shape[3]]
        added: Tensor = self.project(noise.contiguous(memory_format=torch.channels_last))
        return image + added


def noise_input(config: MelImageConfig, channels: int, scale: int) -> NoiseInput | None:
    """Return the noise input of a stage with `scale` positions per token, or None."""
    if not config.decoder_noise_channels:
        return None
    return NoiseInput(
        config.decoder_noise_channels, channels, rows=scale * config.image_rows, columns=scale
    )


def unfold(image: Tensor, size: int) -> Tensor:
    """Move channels back into `size` x `size` squares of positions, channels-last in memory."""
    return rearrange(image, "b (c p q) h w -> b c (h p) (w q)", p=size, q=size).contiguous(
        memory_format=torch.channels_last
    )
