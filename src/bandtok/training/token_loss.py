"""Cross-entropy over a large codebook, without ever holding all scores.

hidden [n, dim], head [codebook_size, dim] -> nats. A piece at a time: scores, their loss and their
gradient while they are still in the processor's cache (an accelerator takes larger pieces). Where
rows of the grid have codes of their own there is a head for each, [rows, codebook_size, dim].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_PIECE, _ACCELERATOR_PIECE = 256, 16_384


@torch.no_grad()
def token_losses(hidden: Tensor, head: Tensor, targets: Tensor) -> Tensor:
    """Return the nats of each target, float [n]; no gradient.

    Args:
        hidden: float [n, dim].
        head: float [codebook_size, dim].
        targets: int64 [n].
    """
    size = _piece_size(hidden)
    losses = [
        functional.cross_entropy(functional.linear(part, head).float(), wanted, reduction="none")
        for part, wanted in zip(hidden.split(size), targets.split(size), strict=True)
    ]
    return torch.cat(losses)


def mean_token_loss(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of the nats of the targets, with gradients to hidden and head.

    Args:
        hidden, head, targets: as for `token_losses`; worked on in float32 at least.
        weights: float [n], not all 0.
    """
    kind = torch.promote_types(torch.promote_types(hidden.dtype, head.dtype), torch.float32)
    shares = (weights / weights.sum()).to(kind)
    with torch.autocast(hidden.device.type, enabled=False):
        loss: Tensor = _MeanTokenLoss.apply(hidden.to(kind), head.to(kind), targets, shares)  # type: ignore[no-untyped-call]
    return loss


@torch.no_grad()
def row_losses(hidden: Tensor, head: Tensor, targets: Tensor, rows: Tensor) -> Tensor:
    """Return `token_losses`, with a head shared by all rows or one for each.

    Args:
        hidden, targets: as for `token_losses`.
        head: float [codebook_size, dim] or [rows, codebook_size, dim].
        rows: int64 [n], the row of each target.
    """
    if head.ndim == 2:
        return token_losses(hidden, head, targets)
    found = torch.empty(len(targets), device=hidden.device)
    for row, own in enumerate(head):
        here = rows == row
        if here.any():
            found[here] = token_losses(hidden[here], own, targets[here])
    return found


def mean_row_loss(
    hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor, rows: Tensor
) -> Tensor:
    """Return `mean_token_loss`, with one head for all rows or one for each; see `row_losses`."""
    if head.ndim == 2:
        return mean_token_loss(hidden, head, targets, weights)
    shares, parts = weights / weights.sum(), []
    for row, own in enumerate(head):
        here = rows == row
        share = shares[here].sum()
        if share > 0:
            loss = mean_token_loss(hidden[here], own, targets[here], weights[here])
            parts.append(loss * share)
    return torch.stack(parts).sum()


class _MeanTokenLoss(torch.autograd.Function):
    """Makes the gradients on the way forward, when each piece of the scores is at hand."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        loss = hidden.new_zeros(())
        hidden_grad, head_grad = torch.empty_like(hidden), torch.zeros_like(head)
        size = _piece_size(hidden)
        for start in range(0, len(hidden), size):
            piece = slice(start, start + size)
            wanted, shares = targets[piece, None], weights[piece, None]
            scores = hidden[piece] @ head.T
            chances = torch.softmax(scores, dim=1)
            loss -= (chances.gather(1, wanted).clamp_min(1e-30).log() * shares).sum()
            chances.mul_(shares).scatter_add_(1, wanted, -shares)
            torch.mm(chances, head, out=hidden_grad[piece])
            head_grad.addmm_(chances.T, hidden[piece])
        ctx.save_for_backward(hidden_grad, head_grad)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        hidden_grad, head_grad = ctx.saved_tensors
        return hidden_grad * gradient, head_grad * gradient, None, None


def _piece_size(hidden: Tensor) -> int:
    return _PIECE if hidden.device.type == "cpu" else _ACCELERATOR_PIECE


def unigram_loss(counts: np.ndarray, codes: np.ndarray) -> float:
    """Return the nats per token of a model that only knows how often each band uses each code.

    Args:
        counts: int [bands, codebook_size] of the training codes; one is added to each.
        codes: int [windows, bands, frames] to score.
    """
    smoothed = counts + 1.0
    logs = np.log(smoothed / smoothed.sum(axis=1, keepdims=True))
    return float(-np.mean([logs[band][codes[:, band]] for band in range(len(counts))]))
