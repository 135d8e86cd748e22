"""Streams for tests."""

from __future__ import annotations

import numpy as np


def cut(array: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut the last axis into pieces of `size`; the last may be shorter."""
    return [array[..., i : i + size] for i in range(0, array.shape[-1], size)]
