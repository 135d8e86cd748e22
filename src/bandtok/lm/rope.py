"""Rotary positions for a two-dimensional grid that was flattened into a sequence.

positions [length, 2] = (frame, band)  ->  a cos/sin table that turns queries and keys.

One half of the rotated pairs turns with the frame index, the other half with the band index, so
that attention scores depend only on (frame difference, band difference). Anything without a place
in the grid (a text prefix) is turned by the identity: cos 1, sin 0. Knows nothing of caches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bandtok.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class RotaryTable:
    """The turn of every position of a sequence.

    Args:
        cos: float [..., length, head_dim].
        sin: float [..., length, head_dim], the first half negated (see `rotate`).
    """

    cos: Tensor
    sin: Tensor

    def __getitem__(self, index: slice) -> RotaryTable:
        """Return the table of some of the positions."""
        return RotaryTable(cos=self.cos[..., index, :], sin=self.sin[..., index, :])

    def for_heads(self, num_heads: int) -> RotaryTable:
        """Return the table repeated over heads: [..., num_heads, length, head_dim]."""
        return RotaryTable(
            cos=self.cos.unsqueeze(-3).expand(*self.cos.shape[:-2], num_heads, -1, -1),
            sin=self.sin.unsqueeze(-3).expand(*self.sin.shape[:-2], num_heads, -1, -1),
        )

    def to(self, device: torch.device | str) -> RotaryTable:
        return RotaryTable(cos=self.cos.to(device), sin=self.sin.to(device))


def rotary_2d(
    positions: Tensor, head_dim: int, time_base: float = 10_000.0, band_base: float = 100.0
) -> RotaryTable:
    """Return the table for (frame, band) positions.

    Args:
        positions: int or float [..., length, 2].
        head_dim: size of one head, a multiple of four.
        time_base: slowest wavelength of the frame axis is about 2 pi times this, in frames.
        band_base: the same for the band axis. There are few bands, so a small base keeps most of
            its pairs from standing still.

    Raises:
        ConfigError: if `head_dim` cannot be split into two halves of pairs.

    Source: RoFormer (2104.09864) section 3, applied to each axis on its own half of the pairs.
    """
    if head_dim % 4:
        raise ConfigError(f"got head_dim {head_dim}; 2D positions need a multiple of 4")
    pairs = head_dim // 4
    frame_angles = _angles(positions[..., 0], pairs, time_base)
    band_angles = _angles(positions[..., 1], pairs, band_base)
    return _table(torch.cat((frame_angles, band_angles), dim=-1))


def rotary_1d(indices: Tensor, head_dim: int, base: float = 10_000.0) -> RotaryTable:
    """Return the table for plain sequence indices [..., length], the control for `rotary_2d`.

    Raises:
        ConfigError: if `head_dim` is odd.
    """
    if head_dim % 2:
        raise ConfigError(f"got head_dim {head_dim}; rotary positions need a multiple of 2")
    return _table(_angles(indices, head_dim // 2, base))


def identity_rotation(length: int, head_dim: int) -> RotaryTable:
    """Return the table that leaves `length` positions as they are."""
    return _table(torch.zeros(length, head_dim // 2, dtype=torch.float64))


def concat_rotations(first: RotaryTable, second: RotaryTable, dim: int = -2) -> RotaryTable:
    """Join two tables along the length, or along the heads (-3)."""
    return RotaryTable(
        cos=torch.cat((first.cos, second.cos), dim=dim),
        sin=torch.cat((first.sin, second.sin), dim=dim),
    )


def rotate(heads: Tensor, table: RotaryTable) -> Tensor:
    """Turn queries or keys [..., length, head_dim] by their positions.

    Element i is paired with element i + head_dim / 2. Because the first half of `table.sin` is
    negated, one roll and one multiply-add do the whole rotation.
    """
    swapped = heads.roll(heads.shape[-1] // 2, dims=-1)
    return torch.addcmul(heads * table.cos, swapped, table.sin)


def _angles(indices: Tensor, pairs: int, base: float) -> Tensor:
    exponents = torch.arange(pairs, dtype=torch.float64, device=indices.device) / pairs
    return indices.to(torch.float64)[..., None] * base**-exponents


def _table(angles: Tensor) -> RotaryTable:
    cos, sin = angles.cos().float(), angles.sin().float()
    return RotaryTable(cos=torch.cat((cos, cos), dim=-1), sin=torch.cat((-sin, sin), dim=-1))
