"""The shape of a music language model, saved beside its weights.

It knows the tokenizer only through its physics: bands, codebook size, frame rate and sample rate,
and a fingerprint that shows whether model and tokenizer belong together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from bandtok.errors import ConfigError

RopeKind = Literal["2d", "1d"]
TokenOrder = Literal["raster", "delay"]
"""How a window is read of which nothing is known, or some whole frames at its beginning."""


NEIGHBORS = ((-1, 0), (-2, 0), (-1, -1), (-1, 1), (0, -1), (0, -2), (0, 1), (1, 0))
"""(frames later, bands higher) of the cells whose codes, where known, are part of the input."""


@dataclass(frozen=True, kw_only=True)
class MusicLMConfig:
    """Everything needed to rebuild a `MusicLM`.

    Args:
        num_bands: rows of the token grid.
        codebook_size: codes the one shared codebook has.
        sample_rate: Hz of the audio behind the grid.
        frame_rate: token frames per second.
        tokenizer_fingerprint: fingerprint of the tokenizer whose codes were learned; "" if unknown.
        text_encoder: name of the text encoder, see `text_encoder.load_text_encoder`.
        text_dim: width of that encoder's states.
        model_dim, num_layers, mlp_dim: width, depth and inner width of the transformer.
        num_heads, num_kv_heads: query heads, and key/value heads that groups of them share.
        rope: "2d" turns half of each head by the frame and half by the band; "1d" turns by the
            plain sequence index (the control).
        order: "raster" goes frame by frame; "delay" as MusicGen does, row k of a frame
            with row 0 of the frame k later (see `bandtok.lm.token_order`). Where a window
            is edited, known tokens come first in either.
        rows_share_codes: whether a code means the same in every row, as band tokens' do. If not, as
            with the layers of residual tokens, each row has embeddings and scores of its own.
        time_base, band_base: rotary bases; "1d" uses `time_base` alone.
        code_dim: width of the code vectors through which a position sees the neighbors of the
            cell it is to write, and which give codes that sound alike embeddings that are alike. If
            it is that of the tokenizer's codebook, training starts from its entries.
        text_queries: learned queries that pick states out of a text, besides their mean; 0 uses the
            mean alone.
        beat_conditioning: whether positions may carry where in the beat they lie, and texts predict
            what tempo they suggest (see `bandtok.lm.beat`).
        condition_dim: inner width of the network that turns the text into scales and shifts of
            every norm.
        dropout: probability of dropping an element of a residual branch in training.
        window_frames: frames of context the model is trained with; longer pieces slide a window.
    """

    num_bands: int = 16
    codebook_size: int = 4096
    sample_rate: int = 44_100
    frame_rate: float = 44_100 / 4096
    tokenizer_fingerprint: str = ""
    text_encoder: str = "minilm"
    text_dim: int = 384
    model_dim: int = 256
    num_layers: int = 6
    num_heads: int = 4
    num_kv_heads: int = 2
    mlp_dim: int = 1024
    code_dim: int = 16
    text_queries: int = 4
    beat_conditioning: bool = False
    condition_dim: int = 128
    rope: RopeKind = "2d"
    order: TokenOrder = "raster"
    rows_share_codes: bool = True
    time_base: float = 10_000.0
    band_base: float = 100.0
    dropout: float = 0.0
    window_frames: int = 64

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected more than 0")
        if self.rope not in get_args(RopeKind):
            raise ConfigError(f"got rope {self.rope!r}; expected one of {get_args(RopeKind)}")
        if self.order not in get_args(TokenOrder):
            raise ConfigError(f"got order {self.order!r}; expected one of {get_args(TokenOrder)}")
        if self.text_queries < 0:
            raise ConfigError(f"got text_queries {self.text_queries}; expected 0 or more")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"got dropout {self.dropout}; expected 0 or more and below 1")
        if self.window_frames < 2:
            raise ConfigError(f"got window_frames {self.window_frames}; expected at least 2")
        if self.model_dim % self.num_heads or self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"got model_dim {self.model_dim}, num_heads {self.num_heads}, num_kv_heads "
                f"{self.num_kv_heads}; each must be a multiple of the next"
            )

    @property
    def head_dim(self) -> int:
        return self.model_dim // self.num_heads

    @property
    def window_tokens(self) -> int:
        """Tokens in one full window."""
        return self.window_frames * self.num_bands

    @property
    def num_norms(self) -> int:
        """Conditioned norms; each has a scale and a shift."""
        return 2 * self.num_layers + 1

    @property
    def num_entries(self) -> int:
        """Codes that have an embedding of their own."""
        return self.codebook_size * (1 if self.rows_share_codes else self.num_bands)

    @property
    def bos_id(self) -> int:
        """Entry of the position before the first code of a window, and of an unknown neighbor."""
        return self.num_entries

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MusicLMConfig:
        """Read what `to_dict` wrote.

        Raises:
            ConfigError: if a key is unknown or a value is out of range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"got unknown settings {', '.join(unknown)}; "
                "the model was probably made by a newer version of bandtok"
            )
        return cls(**values)


_POSITIVE = (
    "num_bands",
    "codebook_size",
    "sample_rate",
    "frame_rate",
    "text_dim",
    "model_dim",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "mlp_dim",
    "code_dim",
    "condition_dim",
    "time_base",
    "band_base",
)

DEBUG_MUSIC_LM = MusicLMConfig(
    codebook_size=64,
    text_encoder="hash:8",
    text_dim=8,
    model_dim=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    mlp_dim=64,
    code_dim=4,
    condition_dim=8,
    window_frames=8,
)
"""A tiny model for tests; its grid is that of the debug tokenizer."""
