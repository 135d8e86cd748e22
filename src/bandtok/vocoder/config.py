"""What a vocoder is made of; saved beside its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from bandtok.errors import ConfigError
from bandtok.signal.mel import MelConfig

MAX_LOG_MAGNITUDE = 6.0
MAX_CORRECTION = 4.0
"""Largest change of an ln-mel bin in one correction."""
KERNEL_SIZE = 7
"""Mel frames that a convolution sees."""


@dataclass(frozen=True, kw_only=True)
class VocoderConfig:
    """Shape of the vocoder: `num_blocks` ConvNeXt blocks of width `model_dim` at the mel's rate.

    Attributes:
        model_dim, num_blocks: width and number of the blocks.
        expansion: inner width of a block over its outer width.
        mel_mean, mel_std: mean and spread of ln-mels, by which they are normalized.
        num_corrections: how often the waveform is analyzed and its magnitudes moved towards the
            mel.
    """

    mel: MelConfig = field(default_factory=MelConfig)
    model_dim: int = 384
    num_blocks: int = 8
    expansion: int = 3
    num_corrections: int = 3
    mel_mean: float = -4.5
    mel_std: float = 2.5

    def __post_init__(self) -> None:
        if self.mel.n_fft % self.mel.hop_length:
            raise ConfigError(
                f"got n_fft {self.mel.n_fft} and hop_length {self.mel.hop_length}; "
                "expected n_fft to be a multiple of hop_length"
            )
        if self.model_dim < 1 or self.num_blocks < 1:
            raise ConfigError(
                f"got model_dim {self.model_dim} and num_blocks {self.num_blocks}; expected >= 1"
            )

    @property
    def reach(self) -> int:
        """Mel frames on either side that a sample can depend on."""
        overlap = self.mel.n_fft // self.mel.hop_length
        return (self.num_blocks + 1) * (KERNEL_SIZE // 2) + overlap * (1 + self.num_corrections)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> VocoderConfig:
        return cls(**{**values, "mel": MelConfig(**values["mel"])})


DEBUG_VOCODER = VocoderConfig(model_dim=32, num_blocks=2, expansion=2, num_corrections=1)
