"""What a text says, as one vector: TextEmbeddings -> float [batch, (1 + queries) * dim]."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bandtok.lm.text_embeddings import TextEmbeddings


class AttentionPooling(nn.Module):
    """The mean of a text's states, and what learned queries pick out of them.

    A query may be after an instrument, another after a pace; all begin as further means.

    Args:
        text_dim: width of the states.
        queries: how many; 0 hears the mean alone.
    """

    def __init__(self, text_dim: int, queries: int) -> None:
        super().__init__()
        self.text_dim, self.out_dim = text_dim, (1 + queries) * text_dim
        self.norm = nn.LayerNorm(text_dim)
        first = torch.zeros(queries, text_dim)
        self.register_parameter("queries", nn.Parameter(first) if queries else None)

    def forward(self, text: TextEmbeddings) -> Tensor:
        """Return the mean first; a row without text gives something finite."""
        states = self.norm(text.states)
        mean = states[:, :1]  # by convention the first state of a text is its mean
        if self.queries is None:
            return mean.flatten(1)
        scores = self.queries @ states.mT / math.sqrt(self.text_dim)
        scores = scores.masked_fill(~text.mask[:, None], torch.finfo(scores.dtype).min)
        return torch.cat((mean, scores.softmax(dim=-1) @ states), dim=1).flatten(1)
