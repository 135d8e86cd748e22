"""The optimizer of the transformer's matrices."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bandtok.training.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(6, 6), (4, 12), (12, 4)])
def test_singular_values_are_drawn_to_one_and_directions_kept(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.T @ orthogonalised(matrix[None])[0] @ right.T
    assert found.diagonal().min() > 0.5
    assert found.diagonal().max() < 1.3
    assert (found - found.diagonal().diag()).abs().max() < 1e-4
    assert values.max() / values.min() > 1.5


def test_the_scale_of_the_gradient_does_not_matter() -> None:
    gradient, moved = torch.randn(4, 8), []
    for scale in (1.0, 100.0):
        matrix = nn.Parameter(torch.zeros(4, 8))
        matrix.grad = gradient * scale
        Muon([matrix], lr=0.1).step()
        moved.append(matrix.detach().clone())
    torch.testing.assert_close(moved[0], moved[1], atol=1e-4, rtol=1e-3)


def test_it_finds_a_minimum_that_needs_unequal_directions() -> None:
    torch.manual_seed(0)
    wanted, scales = torch.randn(8, 8), torch.logspace(0, -0.5, 8)
    matrix = nn.Parameter(torch.zeros(8, 8))
    optimizer = Muon([matrix], lr=0.05)
    for step in range(300):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
        optimizer.zero_grad()
        ((matrix - wanted) * scales).square().sum().backward()
        optimizer.step()
    assert (matrix.detach() - wanted).abs().max() < 0.1


def test_matrices_of_one_shape_do_not_touch_each_other() -> None:
    def moved(*seeds: int) -> list[torch.Tensor]:
        matrices = [nn.Parameter(torch.zeros(4, 6)) for _ in seeds]
        for matrix, seed in zip(matrices, seeds, strict=True):
            matrix.grad = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))
        Muon(matrices, lr=0.1).step()
        return [matrix.detach() for matrix in matrices]

    for together, seed in zip(moved(0, 1, 2), (0, 1, 2), strict=True):
        torch.testing.assert_close(together, moved(seed)[0])


def test_weights_decay_without_a_gradient_of_their_own() -> None:
    matrix = nn.Parameter(torch.ones(3, 3))
    matrix.grad = torch.zeros(3, 3)
    Muon([matrix], lr=0.5, weight_decay=0.1).step()
    torch.testing.assert_close(matrix.detach(), torch.full((3, 3), 0.95))
