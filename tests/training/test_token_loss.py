"""Cross-entropy in pieces equals the plain one, with its gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from bandtok.training import token_loss
from bandtok.training.token_loss import (
    mean_row_loss,
    mean_token_loss,
    row_losses,
    token_losses,
)


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_loss, "_PIECE", 3)


def _game() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(7, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    head = torch.randn(9, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 9, (7,), generator=generator)
    return hidden, head, targets, torch.rand(7, generator=generator, dtype=torch.float64)


def test_loss_and_gradients_are_those_of_the_plain_loss() -> None:
    hidden, head, targets, weights = _game()
    losses = functional.cross_entropy(hidden @ head.T, targets, reduction="none")
    plain = (losses * weights).sum() / weights.sum()
    found = mean_token_loss(hidden, head, targets, weights)
    torch.testing.assert_close(found, plain)
    for one, other in zip(
        torch.autograd.grad(3 * found, (hidden, head)),
        torch.autograd.grad(3 * plain, (hidden, head)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_each_token_is_scored() -> None:
    hidden, head, targets, _ = _game()
    expected = functional.cross_entropy(hidden @ head.T, targets, reduction="none").float()
    torch.testing.assert_close(token_losses(hidden, head, targets), expected)


def test_a_weight_of_nothing_takes_a_token_out() -> None:
    hidden, head, targets, weights = _game()
    weights[2:] = 0
    found = mean_token_loss(hidden, head, targets, weights)
    short = mean_token_loss(hidden[:2], head, targets[:2], weights[:2])
    torch.testing.assert_close(found, short)


def test_half_precision_around_it_does_not_reach_the_loss() -> None:
    hidden, head, targets, weights = _game()
    with torch.autocast("cpu", torch.bfloat16):
        found = mean_token_loss(hidden.bfloat16(), head.float(), targets, weights)
    plain = mean_token_loss(hidden.bfloat16().float(), head.float(), targets, weights)
    torch.testing.assert_close(found, plain)
    assert found.dtype == torch.float32


def test_a_head_for_each_row_is_that_rows_plain_loss() -> None:
    hidden, head, targets, weights = _game()
    heads = torch.stack([head.detach(), 2 * head.detach(), head.detach()]).requires_grad_()
    rows = torch.tensor([0, 1, 0, 1, 1, 0, 0])  # the third row does not occur
    scores = torch.einsum("nd,ncd->nc", hidden, heads[rows])
    losses = functional.cross_entropy(scores, targets, reduction="none")
    plain = (losses * weights).sum() / weights.sum()
    found = mean_row_loss(hidden, heads, targets, weights, rows)
    torch.testing.assert_close(found, plain)
    expected = torch.autograd.grad(plain, (hidden, heads))
    for one, other in zip(torch.autograd.grad(found, (hidden, heads)), expected, strict=True):
        torch.testing.assert_close(one, other)
    each = row_losses(hidden.detach().float(), heads.detach().float(), targets, rows)
    torch.testing.assert_close(each, losses.detach().float())
    shared = mean_row_loss(hidden, head, targets, weights, rows)
    torch.testing.assert_close(shared, mean_token_loss(hidden, head, targets, weights))


def test_rows_of_no_weight_teach_nothing() -> None:
    hidden, head, targets, weights = _game()
    heads, rows = torch.stack([head, head]), torch.tensor([0, 0, 0, 1, 1, 1, 1])
    weights[:3] = 0
    found = mean_row_loss(hidden, heads, targets, weights, rows)
    torch.testing.assert_close(found, mean_token_loss(hidden, head, targets, weights))
