"""The residual tokenizer network: ln-mel image to one vector a frame, to layers of codes, and back.

    mel [batch, n_mels, mel_frames] -> codes [batch, layers, frames] -> mel

The baseline that band tokens are compared with. Latents are images of a single row,
[batch, code_dim, 1, frames].
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from bandtok.tokenizer.decoder import MelDecoder
from bandtok.tokenizer.encoder import MelEncoder
from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.tokenizer.residual_config import ResidualConfig
from bandtok.tokenizer.residual_quantizer import ResidualQuantizer


class FrameEncoder(nn.Module):
    """The image encoder, and each column of its grid mixed into one vector."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.image = MelEncoder(config, config.band_dim)
        self.mix = nn.Conv2d(config.band_dim * config.image_rows, config.code_dim, 1)

    def forward(self, mel: Tensor) -> Tensor:
        """Encode a normalized mel [batch, n_mels, mel_frames] to [batch, code_dim, 1, frames]."""
        columns = rearrange(self.image(mel), "b c h w -> b (c h) 1 w")
        latents: Tensor = self.mix(columns.contiguous(memory_format=torch.channels_last))
        return latents


class FrameDecoder(nn.Module):
    """One vector a frame spread over a column of the grid, and the image decoder."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.rows = config.image_rows
        self.spread = nn.Conv2d(config.code_dim, config.band_dim * config.image_rows, 1)
        self.image = MelDecoder(config, config.band_dim)

    def forward(self, quantized: Tensor, first_frame: int = 0) -> Tensor:
        """Decode [batch, code_dim, 1, frames] to a mel image [batch, n_mels, mel_frames]."""
        columns = self.spread(quantized.contiguous(memory_format=torch.channels_last))
        columns = rearrange(columns, "b (c h) 1 w -> b c h w", h=self.rows)
        mel: Tensor = self.image(columns, first_frame)
        return mel


class ResidualNetwork(MelTokenizer):
    """Encoder, a codebook for each layer, decoder.

    Between the two quantized parts lie the same blocks as in the band tokenizer, so that the two
    differ in what a token is and in nothing else. Only a frame's own column is mixed, never time.

    Source: residual quantization as in Zeghidour et al. 2021 (SoundStream).
    """

    config: ResidualConfig
    quantizer: ResidualQuantizer

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__(
            config,
            encoder=FrameEncoder(config),
            quantizer=ResidualQuantizer(config.num_layers, config.codebook_size, config.code_dim),
            decoder=FrameDecoder(config),
        )
