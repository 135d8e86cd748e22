"""Sizes of a BERT encoder, as its config.json gives them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from bandtok.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BertConfig:
    """Sizes of a BERT encoder; the defaults are those of all-MiniLM-L6-v2."""

    vocab_size: int = 30_522
    hidden_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 12
    intermediate_size: int = 1536
    max_position_embeddings: int = 512
    layer_norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        sizes = (self.vocab_size, self.num_hidden_layers, self.intermediate_size)
        if min(sizes) < 1 or not 0 < self.num_attention_heads <= self.hidden_size:
            raise ConfigError(f"got {self}; expected sizes of at least 1")
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                f"got hidden_size {self.hidden_size} and {self.num_attention_heads} heads; "
                "expected a multiple"
            )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> BertConfig:
        """Read the fields known here from a published config.json; ignore the others."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})
