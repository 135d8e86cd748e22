"""What a tokenizer network is made of; saved beside its weights."""

from __future__ import annotations

from dataclasses import dataclass

from bandtok.tokenizer.mel_image import MelImageConfig


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig(MelImageConfig):
    """Shape of the tokenizer: each cell of the image grid is a token, each of its rows a band."""

    @property
    def num_bands(self) -> int:
        return self.image_rows

    @property
    def rows_are_bands(self) -> bool:
        return True


DEBUG_TOKENIZER = TokenizerConfig(
    base_channels=8,
    grid_channels=16,
    encoder_base_blocks=1,
    encoder_grid_blocks=1,
    decoder_grid_blocks=1,
    decoder_base_blocks=1,
    codebook_size=64,
    code_dim=4,
)
