"""The harmony classifier as a torch module, for training; :mod:`bandtok.lm.harmony` applies it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from bandtok.lm.chords import NUM_LABELS
from bandtok.lm.harmony import HarmonyConfig


class HarmonyNetwork(nn.Module):
    """Logits of chords and keys for every code of every band.

    Args:
        config: its shape.
    """

    config_class: ClassVar[type[HarmonyConfig]] = HarmonyConfig

    def __init__(self, config: HarmonyConfig) -> None:
        super().__init__()
        self.config = config
        shapes = {name: array.shape for name, array in config.arrays().items()}
        self.code_vectors = nn.Parameter(torch.randn(shapes["code_vectors"]))
        self.inner_weight = nn.Parameter(torch.randn(shapes["inner_weight"]) / config.code_dim**0.5)
        self.inner_bias = nn.Parameter(torch.zeros(shapes["inner_bias"]))
        self.outer_weight = nn.Parameter(torch.randn(shapes["outer_weight"]) / config.hidden_dim)

    def forward(self, dropout: float = 0.0) -> Tensor:
        """Return float [bands, codes, 2, NUM_LABELS]: logits of chords and of keys.

        Args:
            dropout: share of inner channels that are left out.
        """
        inner = torch.tanh(self.code_vectors @ self.inner_weight + self.inner_bias)
        inner = nn.functional.dropout(inner, dropout, training=dropout > 0)
        logits: Tensor = inner @ self.outer_weight
        return logits.view(*logits.shape[:2], 2, NUM_LABELS)
