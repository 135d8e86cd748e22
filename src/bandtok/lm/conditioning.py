"""The small networks that condition the language model: on a text, and on a beat.

TextEmbeddings -> scales and shifts of every norm, and scores of tempos; beat features -> a part of
the input.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bandtok.errors import ConfigError
from bandtok.lm.beat import BEAT_FEATURES, TEMPO_BINS
from bandtok.lm.config import MusicLMConfig
from bandtok.lm.text_embeddings import TextEmbeddings

TEMPO_DIM = BEAT_DIM = 64
"""Inner width of the networks for tempos and beats."""


class AttentionPooling(nn.Module):
    """The mean of a text's states, and what learned queries pick out of them.

    A query may attend to an instrument, another to a pace; all begin as further means.

    Args:
        text_dim: width of the states.
        queries: how many; 0 takes the mean alone.
    """

    def __init__(self, text_dim: int, queries: int) -> None:
        super().__init__()
        self.text_dim, self.out_dim = text_dim, (1 + queries) * text_dim
        self.norm = nn.LayerNorm(text_dim)
        first = torch.zeros(queries, text_dim)
        self.register_parameter("queries", nn.Parameter(first) if queries else None)

    def forward(self, text: TextEmbeddings) -> Tensor:
        """Return float [batch, (1 + queries) * text_dim], the mean first.

        A row without text gives something finite.

        Raises:
            ConfigError: if the states have another width.
        """
        if text.states.shape[2] != self.text_dim:
            raise ConfigError(
                f"got text states {text.states.shape}; expected [batch, length, {self.text_dim}]"
            )
        device = self.norm.weight.device
        states = self.norm(torch.from_numpy(text.states).to(device))
        mean = states[:, :1]  # by convention the first state of a text is its mean
        if self.queries is None:
            return mean.flatten(1)
        scores = self.queries @ states.mT / math.sqrt(self.text_dim)
        unused = torch.from_numpy(~text.mask[:, None]).to(device)
        scores = scores.masked_fill(unused, torch.finfo(scores.dtype).min)
        return torch.cat((mean, scores.softmax(dim=-1) @ states), dim=1).flatten(1)


class Conditioner(nn.Module):
    """The text's states -> scale and shift of every norm; a learned vector if there is none.

    Args:
        config: widths.
    """

    def __init__(self, config: MusicLMConfig) -> None:
        super().__init__()
        self.config, self.parts = config, 2 * config.num_norms
        self.text_pooling = AttentionPooling(config.text_dim, config.text_queries)
        self.inner = nn.Linear(self.text_pooling.out_dim, config.condition_dim)
        self.outer = nn.Linear(config.condition_dim, self.parts * config.model_dim)
        self.null = nn.Parameter(torch.randn(config.condition_dim))
        nn.init.zeros_(self.outer.weight)
        with torch.no_grad():  # scale 1, shift 0
            self.outer.bias.view(self.parts, -1)[0::2] = 1
            self.outer.bias.view(self.parts, -1)[1::2] = 0

    def forward(self, text: TextEmbeddings | None, batch: int) -> Tensor:
        """Return float [batch, 2 * num_norms, model_dim].

        Raises:
            ConfigError: if the text has another number of rows or another width.
        """
        inner = self.null.expand(batch, -1)
        if text is not None:
            check_rows(text, batch)
            given = torch.from_numpy(text.mask.any(axis=1, keepdims=True)).to(inner.device)
            inner = torch.where(given, self.inner(self.text_pooling(text)), inner)
        out: Tensor = self.outer(functional.silu(inner))
        return out.view(batch, self.parts, self.config.model_dim)


class BeatEmbedding(nn.Module):
    """Where in the beat each frame begins, as a part of the input.

    Args:
        model_dim: width of the input.
    """

    def __init__(self, model_dim: int) -> None:
        super().__init__()
        self.inner = nn.Linear(BEAT_FEATURES, BEAT_DIM)
        self.outer = nn.Linear(BEAT_DIM, model_dim, bias=False)
        nn.init.normal_(self.outer.weight, std=0.02 / math.sqrt(BEAT_DIM))

    def forward(self, features: np.ndarray) -> Tensor:
        """Return float [rows, frames, model_dim] of `BeatGrid.features`; 0 without a beat."""
        given = torch.from_numpy(features).to(self.inner.weight.device)
        embedded: Tensor = self.outer(functional.silu(self.inner(given)))
        return embedded * given[..., -1:]


class TempoPredictor(nn.Module):
    """Which tempos a text suggests: its states -> float [rows, TEMPO_BINS + 1] logits.

    It has a pooling of its own: one that finds tempos in words would crowd out one that finds
    instruments.

    Args:
        text_dim: width of the states.
    """

    def __init__(self, text_dim: int) -> None:
        super().__init__()
        self.text_pooling = AttentionPooling(text_dim, 1)
        self.inner = nn.Linear(self.text_pooling.out_dim, TEMPO_DIM)
        self.outer = nn.Linear(TEMPO_DIM, TEMPO_BINS + 1)

    def forward(self, text: TextEmbeddings) -> Tensor:
        scores: Tensor = self.outer(functional.silu(self.inner(self.text_pooling(text))))
        return scores


def check_rows(text: TextEmbeddings, rows: int) -> None:
    """Raise ConfigError if a text has another number of rows."""
    if len(text) != rows:
        raise ConfigError(f"got {len(text)} rows of text; expected {rows}")
