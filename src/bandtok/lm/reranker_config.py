"""The shape of a reranker, saved beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bandtok.errors import ConfigError

_POSITIVE = ("num_bands", "codebook_size", "code_dim", "text_dim", "model_dim", "match_dim")


@dataclass(frozen=True, kw_only=True)
class RerankerConfig:
    """Shape of a reranker.

    Attributes:
        num_bands, codebook_size: of the grids.
        tokenizer_fingerprint: of the tokenizer whose codes were learned; "" if unknown.
        text_encoder, text_dim: name of the text encoder, and the width of its states.
        code_dim: width of the code vectors, which start from the tokenizer's codebook.
        model_dim: channels once all bands have been brought together; fewer before.
        dilations: frames between the positions that each of the last convolutions sees.
        text_queries: see `MusicLMConfig`.
        match_dim: width of the space in which codes and texts meet.
    """

    num_bands: int = 16
    codebook_size: int = 4096
    tokenizer_fingerprint: str = ""
    text_encoder: str = "minilm"
    text_dim: int = 384
    code_dim: int = 16
    model_dim: int = 160
    dilations: tuple[int, ...] = (1, 2, 4, 8, 12)
    text_queries: int = 4
    match_dim: int = 128

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected more than 0")
        if self.text_queries < 0:
            raise ConfigError(f"got text_queries {self.text_queries}; expected 0 or more")
        if self.num_bands & (self.num_bands - 1):
            raise ConfigError(f"got num_bands {self.num_bands}; expected a power of two")
        if self.model_dim % 8:
            raise ConfigError(f"got model_dim {self.model_dim}; expected a multiple of 8")
        if min(self.dilations, default=1) < 1:
            raise ConfigError(f"got dilations {self.dilations}; expected each at least 1")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON types."""
        return {**asdict(self), "dilations": list(self.dilations)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RerankerConfig:
        """Read what `to_dict` wrote."""
        return cls(**{**values, "dilations": tuple(values["dilations"])})


DEBUG_RERANKER = RerankerConfig(
    codebook_size=64,
    text_encoder="hash:8",
    text_dim=8,
    code_dim=4,
    model_dim=16,
    dilations=(1,),
    text_queries=1,
    match_dim=8,
)
