"""A table of weighted losses -> their sum, and each by name for the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

LossTable = Mapping[str, tuple[float, Callable[[], Tensor]]]
"""Name of a loss -> its weight, and what computes it."""

ALWAYS_LOGGED = frozenset({"mel_loss", "discriminator_loss"})


@dataclass(frozen=True, kw_only=True)
class LossSum:
    """Losses computed from a table.

    Attributes:
        total: weighted sum, scalar.
        losses: each loss by name, unweighted scalars.
    """

    total: Tensor
    losses: dict[str, Tensor]

    def numbers(self) -> dict[str, float]:
        """Return the losses as numbers, moved from their device at once."""
        values = torch.stack([loss.detach().float() for loss in self.losses.values()])
        return dict(zip(self.losses, values.tolist(), strict=True))


def weighted_sum(table: LossTable) -> LossSum:
    """Compute the losses of a table whose weight is not 0, and those that are always logged."""
    losses = {
        name: compute()
        for name, (weight, compute) in table.items()
        if weight or name in ALWAYS_LOGGED
    }
    total = torch.stack([table[name][0] * loss for name, loss in losses.items()]).sum()
    return LossSum(total=total, losses=losses)
