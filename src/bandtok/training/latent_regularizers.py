"""Regularizers for latents that are easy to predict: smooth, or given by the past."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def smoothness_loss(latents: Tensor) -> Tensor:
    """Return how far latents [batch, code_dim, bands, frames] move a frame, in their own spread."""
    moved = (latents[..., 1:] - latents[..., :-1]).square().mean()
    return moved / latents.detach().var().clamp(min=1e-6)


class LatentPredictor(nn.Module):
    """Predicts each frame's latents from the two before it; trained along with the tokenizer.

    Causal in time, three bands wide on either side, one hidden layer.
    """

    past = 2

    def __init__(self, code_dim: int, hidden: int = 64) -> None:
        super().__init__()
        self.look = nn.Conv2d(code_dim, hidden, (7, self.past), padding=(3, 0))
        self.guess = nn.Conv2d(hidden, code_dim, 1)

    def forward(self, latents: Tensor) -> Tensor:
        """Return the share of the latents' variance that stays unforeseen."""
        guessed = self.guess(F.gelu(self.look(latents[..., :-1])))
        error = (guessed - latents[..., self.past :]).square().mean()
        result: Tensor = error / latents.detach().var().clamp(min=1e-6)
        return result
