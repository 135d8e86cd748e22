"""Preallocated memory for the keys and values of tokens already seen.

One tensor [num_layers, batch, num_kv_heads, max_length, head_dim] each; nothing is allocated while
decoding. Knows nothing of grids or text.
"""

from __future__ import annotations

import torch
from torch import Tensor


class KeyValueCache:
    """Keys and values of every layer, filled from the left.

    Args:
        num_layers, batch, num_kv_heads, max_length, head_dim: the shape.
        device, dtype: where and how it is kept.
    """

    def __init__(
        self,
        *,
        num_layers: int,
        batch: int,
        num_kv_heads: int,
        max_length: int,
        head_dim: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        shape = (num_layers, batch, num_kv_heads, max_length, head_dim)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.max_length = max_length
        self.length = 0
        self.layers = [
            LayerCache(self, keys, values)
            for keys, values in zip(self.keys.unbind(), self.values.unbind(), strict=True)
        ]

    def advance(self, length: int) -> None:
        """Count `length` positions as seen, once every layer has stored them."""
        self.length += length

    def truncate(self, length: int) -> None:
        """Forget everything after the first `length` positions."""
        assert 0 <= length <= self.length
        self.length = length


class LayerCache:
    """The part of the cache that belongs to one layer, a `KeyValueStore`."""

    def __init__(self, cache: KeyValueCache, keys: Tensor, values: Tensor) -> None:
        self._cache = cache
        self._keys = keys
        self._values = values

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store [batch, num_kv_heads, length, head_dim]; return all that was stored so far."""
        start = self._cache.length
        end = start + keys.shape[2]
        assert end <= self._cache.max_length, (
            "the caller slides the window before the cache is full"
        )
        self._keys[:, :, start:end] = keys
        self._values[:, :, start:end] = values
        return self._keys[:, :, :end], self._values[:, :, :end]
