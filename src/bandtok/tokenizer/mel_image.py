"""What every network that turns a mel image into rows of codes is described by.

The sizes of encoder and decoder, and the physics that follow from them; what the rows are, and how
they are quantized, is said by the kinds of tokenizer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from math import log2
from typing import Any, Self

from bandtok.errors import ConfigError
from bandtok.signal.mel import MelConfig

FINE_PATCH = 2
"""Mel bins, and mel frames, per position of the decoder's fine stage."""
NOISE_PERIOD_FRAMES = 128
"""Token frames after which the decoder's noise repeats; the cores of the codec's windows begin at
multiples of it, so that the same frame always has the same noise."""


@dataclass(frozen=True, kw_only=True)
class MelImageConfig(ABC):
    """Shape of a mel image's encoder and decoder.

    The mel image is cut into `patch` x `patch` squares, worked on at `base_channels`, folded once
    more by 2 x 2 to the image grid, and worked on at `grid_channels`. One cell of that grid stands
    for 2 * patch mel bins by 2 * patch mel frames.

    Attributes:
        patch: mel bins and mel frames of the smallest square.
        base_channels, grid_channels: width before and after the last folding.
        encoder_base_blocks, encoder_grid_blocks: residual blocks of the encoder at either width.
        decoder_grid_blocks, decoder_base_blocks: residual blocks of the decoder at either width.
        codebook_size: entries of the codebook.
        code_dim: numbers in an entry.
        mel_mean, mel_std: mean and spread of ln-mels, by which they are normalized.
        decoder_fine_blocks: residual blocks of the decoder at half the mel's resolution; 0: none.
        decoder_fine_channels: their width.
        decoder_noise_channels: channels of a fixed noise image that the decoder has as a second
            input, for texture that the codes cannot carry; 0 for none.
    """

    mel: MelConfig = field(default_factory=MelConfig)
    patch: int = 4
    base_channels: int = 96
    grid_channels: int = 192
    encoder_base_blocks: int = 2
    encoder_grid_blocks: int = 3
    decoder_grid_blocks: int = 4
    decoder_base_blocks: int = 3
    decoder_fine_blocks: int = 0
    decoder_fine_channels: int = 48
    decoder_noise_channels: int = 0
    codebook_size: int = 4096
    code_dim: int = 16
    mel_mean: float = -4.5
    mel_std: float = 2.5

    def __post_init__(self) -> None:
        if self.mel.n_mels % self.reduction:
            raise ConfigError(
                f"got {self.mel.n_mels} mel bins; expected a multiple of {self.reduction}"
            )
        if self.decoder_fine_blocks < 0 or self.decoder_noise_channels < 0:
            raise ConfigError(
                f"got decoder_fine_blocks {self.decoder_fine_blocks} and decoder_noise_channels "
                f"{self.decoder_noise_channels}; expected 0 or more"
            )
        if self.decoder_fine_blocks and self.patch % FINE_PATCH:
            raise ConfigError(
                f"got patch {self.patch} with decoder_fine_blocks; "
                f"expected a multiple of {FINE_PATCH}"
            )
        if not 2 <= self.codebook_size <= 65_536:
            raise ConfigError(f"got codebook_size {self.codebook_size}; expected 2 to 65536")

    @property
    @abstractmethod
    def num_bands(self) -> int:
        """Codes in a frame: rows of the token grid."""

    @property
    @abstractmethod
    def rows_are_bands(self) -> bool:
        """Whether a row of the token grid is a range of frequencies."""

    @property
    def reduction(self) -> int:
        """Mel frames per token frame; mel bins per row of the image grid."""
        return 2 * self.patch

    @property
    def image_rows(self) -> int:
        """Rows of the image grid, lowest frequencies first."""
        return self.mel.n_mels // self.reduction

    @property
    def samples_per_frame(self) -> int:
        return self.reduction * self.mel.hop_length

    @property
    def frame_rate(self) -> Fraction:
        """Token frames per second, exactly."""
        return Fraction(self.mel.sample_rate, self.samples_per_frame)

    @property
    def bit_rate_bps(self) -> float:
        return self.num_bands * float(self.frame_rate) * log2(self.codebook_size)

    @property
    def encoder_reach(self) -> int:
        """Token frames on either side that a code can depend on, rounded up."""
        mel_frames = 2 * (
            self.encoder_base_blocks * self.patch + self.encoder_grid_blocks * self.reduction
        )
        return -(-mel_frames // self.reduction)

    @property
    def decoder_reach(self) -> int:
        """Token frames on either side that a decoded mel frame can depend on, rounded up."""
        mel_frames = 2 * (
            self.decoder_fine_blocks * FINE_PATCH
            + self.decoder_base_blocks * self.patch
            + self.decoder_grid_blocks * self.reduction
        )
        return -(-mel_frames // self.reduction)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        return cls(**{**values, "mel": MelConfig(**values["mel"])})
