"""An optimizer for the weight matrices of hidden layers: momentum whose update is orthogonalised.

Every singular value of an update is moved towards one, so that rare directions are learned as fast
as common ones. Not for embeddings, heads, gains and biases: those stay with AdamW.

Source: Muon (Jordan et al. 2024), with its quintic Newton-Schulz iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(Optimizer):
    """Momentum, orthogonalised.

    Args:
        parameters: matrices.
        lr: learning rate; a step changes a matrix by about this much in every direction.
        momentum: share of the past in the (Nesterov) momentum.
        weight_decay: decoupled, times the learning rate.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(list(parameters), defaults)
        assert all(p.ndim == 2 for group in self.param_groups for p in group["params"])

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient; those of one shape together."""
        assert closure is None
        for group in self.param_groups:
            wanted: dict[tuple[int, ...], list[tuple[nn.Parameter, Tensor]]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    ahead = self._ahead(matrix, group["momentum"])
                    wanted.setdefault(tuple(matrix.shape), []).append((matrix, ahead))
            for members in wanted.values():
                updates = orthogonalised(torch.stack([ahead for _, ahead in members]))
                for (matrix, _), update in zip(members, updates, strict=True):
                    scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
                    matrix.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-group["lr"] * scale)

    def _ahead(self, matrix: nn.Parameter, share: float) -> Tensor:
        """Take the gradient into the momentum; return the two mixed, as Nesterov does."""
        assert matrix.grad is not None
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum: Tensor = state["momentum"].lerp_(matrix.grad, 1 - share)
        return matrix.grad.lerp(momentum, share)


def orthogonalised(matrices: Tensor, rounds: int = 5) -> Tensor:
    """Move the singular values of matrices, float [n, rows, columns], to between about 0.7 and 1.2,
    keeping their directions."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(rounds):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
