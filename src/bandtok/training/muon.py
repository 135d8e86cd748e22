"""An optimiser for the weight matrices of hidden layers: momentum whose update is orthogonalised.

Every singular value of an update is drawn towards one, so that rare directions are learned as fast
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
        """Update every matrix that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._update(matrix, group)

    def _update(self, matrix: nn.Parameter, group: dict[str, Any]) -> None:
        assert matrix.grad is not None
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        momentum = state["momentum"].lerp_(matrix.grad, 1 - group["momentum"])
        update = orthogonalised(matrix.grad.lerp(momentum, group["momentum"]))
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update, alpha=-group["lr"] * scale)


def orthogonalised(matrix: Tensor, rounds: int = 5) -> Tensor:
    """Draw the singular values of a matrix to between about 0.7 and 1.2, keeping its directions."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / (wide.norm() + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(rounds):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x
