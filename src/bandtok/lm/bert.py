"""BERT's encoder in plain torch: ids [batch, length] -> hidden states [batch, length, hidden_size].

Parameter names are those of published checkpoints. Source: Devlin et al., "BERT" (2019), with the
sizes of MiniLM (Wang et al., 2020) as defaults.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bandtok.lm.bert_config import BertConfig
from bandtok.lm.text_encoder import text_encoder_error


class Bert(nn.Module):
    """Token, position and segment embeddings and `num_hidden_layers` post-norm blocks."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = _Embeddings(config)
        layers = [_Layer(config) for _ in range(config.num_hidden_layers)]
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return hidden states of the last block, [batch, length, hidden_size].

        Args:
            ids: int64 [batch, length], at most `max_position_embeddings` long.
            mask: bool [batch, length], True for real tokens; None if all are.
        """
        states = self.embeddings(ids)
        attended = None if mask is None else mask[:, None, None, :]
        for layer in self.encoder["layer"]:  # type: ignore[attr-defined]
            states = layer(states, attended)
        result: Tensor = states
        return result


def load_bert(folder: Path, config: BertConfig, weights: dict[str, np.ndarray]) -> Bert:
    """Return the encoder with the weights read from a folder.

    Raises:
        CheckpointError: if they do not fit the config.
    """
    with torch.device("meta"):  # no random weights that would be overwritten
        network = Bert(config)
    try:
        network.load_state_dict(
            {name: torch.from_numpy(array) for name, array in weights.items()}, assign=True
        )
    except RuntimeError as error:
        raise text_encoder_error(folder, error) from None
    return network


class _Embeddings(nn.Module):
    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(2, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        embedded = self.word_embeddings(ids) + self.token_type_embeddings.weight[0]
        positions = torch.arange(ids.shape[1], device=ids.device)
        normed: Tensor = self.LayerNorm(embedded + self.position_embeddings(positions))
        return normed


class _Layer(nn.Module):
    """Self-attention and a feed-forward network, each with a residual and a LayerNorm after it."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.num_heads = config.num_attention_heads
        projections = {name: nn.Linear(size, size) for name in ("query", "key", "value")}
        self.attention = nn.ModuleDict(
            {"self": nn.ModuleDict(projections), "output": _Output(size, config)}
        )
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(size, config.intermediate_size)})
        self.output = _Output(config.intermediate_size, config)

    def forward(self, states: Tensor, mask: Tensor | None) -> Tensor:
        projections: Any = self.attention["self"]
        query, key, value = (
            projections[name](states).unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        states = self.attention["output"](mixed.transpose(1, 2).flatten(2), states)
        hidden = functional.gelu(self.intermediate["dense"](states))
        result: Tensor = self.output(hidden, states)
        return result


class _Output(nn.Module):
    """Projects back to the hidden size, adds the residual, normalizes."""

    def __init__(self, input_size: int, config: BertConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(input_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, states: Tensor, residual: Tensor) -> Tensor:
        normed: Tensor = self.LayerNorm(self.dense(states) + residual)
        return normed
