"""What a residual tokenizer network is made of; saved beside its weights."""

from __future__ import annotations

from dataclasses import dataclass

from bandtok.errors import ConfigError
from bandtok.tokenizer.mel_image import MelImageConfig


@dataclass(frozen=True, kw_only=True)
class ResidualConfig(MelImageConfig):
    """Shape of the residual tokenizer: one latent a frame, quantized in layers.

    Encoder and decoder work on the same image grid as the band tokenizer's; a column of it becomes
    one vector.

    Attributes:
        num_layers: codebooks, and so codes in a frame, coarsest first.
        band_dim: numbers that a cell of the image grid puts into its frame's latent.
        code_dim: length of that latent and of every codebook's entries.
    """

    num_layers: int = 16
    band_dim: int = 16
    code_dim: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.num_layers <= 64:
            raise ConfigError(f"got num_layers {self.num_layers}; expected 1 to 64")

    @property
    def num_bands(self) -> int:
        return self.num_layers

    @property
    def rows_are_bands(self) -> bool:
        return False


DEBUG_RESIDUAL = ResidualConfig(
    base_channels=8,
    grid_channels=16,
    encoder_base_blocks=1,
    encoder_grid_blocks=1,
    decoder_grid_blocks=1,
    decoder_base_blocks=1,
    codebook_size=64,
    band_dim=4,
    code_dim=8,
)
