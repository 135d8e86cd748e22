"""Grouped-query attention."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from bandtok.errors import ConfigError
from bandtok.lm.attention import Attention, RotaryTable, rotate


def _table(length: int, heads: int, size: int) -> RotaryTable:
    angles = np.arange(length)[:, None] / 3.0 ** np.arange(size // 2)
    return RotaryTable.of_angles(angles[None], heads, torch.device("cpu"))


def test_rotation_turns_pairs_by_their_angle_and_keeps_norms() -> None:
    heads = torch.randn(2, 3, 5, 8)
    turned = rotate(heads, _table(5, 3, 8))
    torch.testing.assert_close(turned[:, :, 0], heads[:, :, 0])
    torch.testing.assert_close(turned.norm(dim=-1), heads.norm(dim=-1))
    first, second = heads[0, 0, 2, 0], heads[0, 0, 2, 4]
    expected = first * math.cos(2) - second * math.sin(2)
    torch.testing.assert_close(turned[0, 0, 2, 0], expected)


def test_equals_attention_written_out() -> None:
    torch.manual_seed(0)
    layer = Attention(model_dim=16, num_heads=4, num_kv_heads=2)
    torch.nn.init.normal_(layer.gain)
    x, rotary = torch.randn(2, 5, 16), _table(5, 6, 4)
    heads = layer.qkv(x).view(2, 5, 8, 4).transpose(1, 2)
    turned = rotate(functional.layer_norm(heads[:, :6], (4,)) * layer.gain, rotary)
    mixed = []
    for head in range(4):
        keys, values = turned[:, 4 + head // 2], heads[:, 6 + head // 2]
        scores = turned[:, head] @ keys.transpose(1, 2) / math.sqrt(4)
        future = torch.ones(5, 5).triu(1).bool()
        mixed.append(scores.masked_fill(future, -math.inf).softmax(dim=-1) @ values)
    expected = layer.out(torch.cat(mixed, dim=-1))
    torch.testing.assert_close(layer(x, rotary), expected)


def test_single_position_attends_to_itself() -> None:
    layer = Attention(model_dim=8, num_heads=2, num_kv_heads=1)
    x = torch.randn(1, 1, 8)
    value = layer.qkv(x)[..., 12:]
    expected = layer.out(torch.cat((value, value), dim=-1))
    torch.testing.assert_close(layer(x, _table(1, 3, 4)), expected)


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple of the next"):
        Attention(model_dim=16, num_heads=4, num_kv_heads=3)
