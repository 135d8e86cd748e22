"""AdamW whose weight decay spares gains, biases and other single vectors."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.optim import AdamW


def decaying_adamw(
    parameters: Iterable[nn.Parameter], learning_rate: float, weight_decay: float
) -> AdamW:
    """Return AdamW in which only parameters of two dimensions and more decay.

    Args:
        parameters: what is trained.
        learning_rate, weight_decay: see `torch.optim.AdamW`.
    """
    chosen = list(parameters)
    groups = [
        {"params": [p for p in chosen if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in chosen if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=learning_rate, betas=(0.9, 0.95))
