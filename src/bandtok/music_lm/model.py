"""The music language model: text states and earlier codes -> the distribution of the next code.

Sequence: [text prefix][BOS][codes, frame by frame, lowest band first]. Prefix and BOS are turned by
the identity; a code's position is a pure function of its index, never state on the module. The
model knows a tokenizer only through `MusicLMConfig`.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from bandtok.errors import ConfigError
from bandtok.grid import positions
from bandtok.layers.rope import (
    RotaryTable,
    concat_rotations,
    identity_rotation,
    rotary_1d,
    rotary_2d,
)
from bandtok.music_lm.cache import KeyValueCache
from bandtok.music_lm.config import MusicLMConfig
from bandtok.music_lm.text import TextStates
from bandtok.music_lm.transformer import Transformer


class MusicLM(nn.Module):
    """A decoder-only transformer over the flattened token grid.

    Args:
        config: the model's shape.
    """

    config_class: ClassVar[type[MusicLMConfig]] = MusicLMConfig

    def __init__(self, config: MusicLMConfig) -> None:
        super().__init__()
        self.config = config
        self.code_embedding = nn.Embedding(config.codebook_size + 1, config.model_dim)
        self.band_embedding = (
            nn.Embedding(config.num_bands, config.model_dim) if config.band_embedding else None
        )
        self.text_norm = nn.LayerNorm(config.text_dim)
        self.text_projection = nn.Linear(config.text_dim, config.model_dim)
        self.null_prefix = nn.Parameter(torch.empty(config.model_dim))
        self.transformer = Transformer(config)
        self.head = (
            None
            if config.tie_embeddings
            else nn.Linear(config.model_dim, config.codebook_size, bias=False)
        )
        self._initialise()

    def forward(
        self, tokens: Tensor, text: TextStates | None = None, frame_offset: int = 0
    ) -> Tensor:
        """Score every token given the ones before it.

        Args:
            tokens: int64 [batch, length] codes of a window that starts at band 0, without BOS.
            text: states for each row; None means that all rows are unconditional.
            frame_offset: frame index of the first token.

        Returns:
            float [batch, length, codebook_size]: logits[:, k] predict tokens[:, k] and depend only
            on the text and tokens[:, :k].
        """
        batch, length = tokens.shape
        prefix, valid = self.embed_text(text, batch)
        bos = tokens.new_full((batch, 1), self.config.bos_id)
        inputs = self.embed_inputs(torch.cat((bos, tokens[:, :-1]), dim=1), 0)
        key_valid = None
        if valid is not None:
            key_valid = torch.cat((valid, valid.new_ones(batch, length)), dim=1)
        rotary = self.rotary(prefix.shape[1], length, frame_offset).to(tokens.device)
        hidden = self.transformer(torch.cat((prefix, inputs), dim=1), rotary, key_valid)
        return self.logits(hidden[:, prefix.shape[1] :])

    def embed_text(self, text: TextStates | None, batch: int) -> tuple[Tensor, Tensor | None]:
        """Project text states into the prefix.

        Args:
            text: states for each row, or None.
            batch: number of rows.

        Returns:
            float [batch, prefix_length, model_dim], and bool [batch, prefix_length] of its valid
            positions, None if all are. A row without text is the learned null token alone.
        """
        null = self.null_prefix.expand(batch, 1, -1)
        if text is None:
            return null, None
        if len(text) != batch or text.states.shape[2] != self.config.text_dim:
            raise ConfigError(
                f"got text states {tuple(text.states.shape)}; expected "
                f"[{batch}, length, {self.config.text_dim}]"
            )
        prefix = self.text_projection(self.text_norm(text.states))
        unconditional = ~text.mask.any(dim=1, keepdim=True)
        first = torch.where(unconditional[..., None], null, prefix[:, :1])
        valid = torch.cat((text.mask[:, :1] | unconditional, text.mask[:, 1:]), dim=1)
        prefix = torch.cat((first, prefix[:, 1:]), dim=1)
        return prefix, None if bool(valid.all()) else valid

    def embed_inputs(self, inputs: Tensor, start: int) -> Tensor:
        """Embed what stands before the tokens start, start + 1, ... (BOS or the token before).

        Args:
            inputs: int64 [batch, length].
            start: index in the window of the token that the first input predicts.
        """
        embedded: Tensor = self.code_embedding(inputs)
        if self.band_embedding is not None:
            band = torch.arange(start, start + inputs.shape[1], device=inputs.device)
            embedded = embedded + self.band_embedding(band % self.config.num_bands)
        return embedded

    def rotary(self, prefix_length: int, length: int, frame_offset: int = 0) -> RotaryTable:
        """Return the turns of prefix, BOS and the `length` - 1 codes after it."""
        config = self.config
        start = frame_offset * config.num_bands
        still = identity_rotation(prefix_length + 1, config.head_dim)
        if config.rope == "1d":
            index = torch.arange(start, start + length - 1)
            moving = rotary_1d(index, config.head_dim, config.time_base)
        else:
            grid = positions(start, length - 1, config.num_bands)
            moving = rotary_2d(grid, config.head_dim, config.time_base, config.band_base)
        return concat_rotations(still, moving)

    def logits(self, hidden: Tensor) -> Tensor:
        """Turn float [..., model_dim] into float [..., codebook_size]."""
        if self.head is not None:
            out: Tensor = self.head(hidden)
            return out
        return functional.linear(hidden, self.code_embedding.weight[: self.config.codebook_size])

    def make_cache(self, batch: int, prefix_length: int) -> KeyValueCache:
        """Return an empty cache for one window behind a prefix."""
        return KeyValueCache(
            num_layers=self.config.num_layers,
            batch=batch,
            num_kv_heads=self.config.num_kv_heads,
            max_length=prefix_length + self.config.window_tokens,
            head_dim=self.config.head_dim,
            device=self.null_prefix.device,
            dtype=self.null_prefix.dtype,
        )

    def _initialise(self) -> None:
        deep = 0.02 / math.sqrt(2 * self.config.num_layers)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(
                    module.weight, std=deep if name.endswith((".out", ".down")) else 0.02
                )
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        nn.init.normal_(self.null_prefix, std=0.02)


def pack_for_decoding(model: MusicLM) -> None:
    """Lay the wide weight matrices out so that multiplying one or two rows is fast on a CPU.

    Shapes and values stay; only strides change, so a packed model can do all that it could before.
    Measured on one core with two rows: 1.4 to 2 times faster for matrices with more outputs than
    inputs, slower for others, which are left alone. Does nothing on other devices.
    """
    for parameter in model.parameters():
        wide = parameter.ndim == 2 and parameter.shape[0] > parameter.shape[1]
        if wide and parameter.device.type == "cpu":
            parameter.data = parameter.data.t().contiguous().t()
