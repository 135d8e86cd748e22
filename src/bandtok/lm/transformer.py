"""A causal pre-norm transformer: [batch, length, model_dim] -> the same shape.

Knows nothing of codes, bands or text: positions come in as a rotary table, what a piece is about as
the scales and shifts of the norms.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from bandtok.lm.attention import Attention, RotaryTable
from bandtok.lm.config import MusicLMConfig
from bandtok.lm.kv_cache import KeyValueCache, LayerCache


class FeedForward(nn.Module):
    """Two matrices with a squared ReLU between them.

    Source: Primer (2109.08668). Chosen over a gated unit because it needs fewer operations a token,
    which is what one decoding step on a CPU is made of.
    """

    def __init__(self, model_dim: int, mlp_dim: int) -> None:
        super().__init__()
        self.up = nn.Linear(model_dim, mlp_dim, bias=False)
        self.down = nn.Linear(mlp_dim, model_dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(functional.relu(self.up(x)).square())
        return out


class Block(nn.Module):
    """Attention and feed-forward, each on a normalized copy and added back.

    Source: the norms' scales and shifts come from outside, as in DiT (2212.09748).
    """

    def __init__(self, config: MusicLMConfig) -> None:
        super().__init__()
        self.attention = Attention(config.model_dim, config.num_heads, config.num_kv_heads)
        self.mlp = FeedForward(config.model_dim, config.mlp_dim)
        self.dropout = config.dropout

    def forward(
        self,
        x: Tensor,
        condition: list[Tensor],
        rotary: RotaryTable,
        store: LayerCache | None,
    ) -> Tensor:
        normed = conditioned_norm(x, condition[0], condition[1])
        x = x + self._drop(self.attention(normed, rotary, store=store))
        return x + self._drop(self.mlp(conditioned_norm(x, condition[2], condition[3])))

    def _drop(self, x: Tensor) -> Tensor:
        if self.dropout and self.training:
            return functional.dropout(x, self.dropout)
        return x


class Transformer(nn.Module):
    """A stack of blocks with a norm before and after."""

    def __init__(self, config: MusicLMConfig) -> None:
        super().__init__()
        self.input_norm = nn.LayerNorm(config.model_dim, bias=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))

    def forward(
        self,
        x: Tensor,
        condition: Tensor,
        rotary: RotaryTable,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Run the stack.

        Args:
            x: float [batch, length, model_dim].
            condition: float [batch, 2 * num_norms, model_dim], scale and shift of each norm.
            rotary: rotations of these positions.
            cache: of the positions before, to which keys and values of these are added.

        Returns:
            float [batch, length, model_dim].
        """
        parts = list(condition.unsqueeze(2).unbind(1))
        x = self.input_norm(x)
        for index, block in enumerate(self.blocks):
            store = cache.layers[index] if cache is not None else None
            x = block(x, parts[4 * index : 4 * index + 4], rotary, store)
        if cache is not None:
            cache.advance(x.shape[1])
        return conditioned_norm(x, parts[-2], parts[-1])


def conditioned_norm(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Normalise [batch, length, dim] and lay scale and shift [batch, 1, dim] over it."""
    return torch.addcmul(shift, functional.layer_norm(x, x.shape[-1:]), scale)
