"""Rotary angles for a two-dimensional grid that was flattened into a sequence.

order [..., length] of raster indices  ->  angles [..., length, head_dim / 2]

One half of the rotated pairs turns with the frame index, the other half with the band index, so
that attention scores depend only on (frame difference, band difference). Element i of a head is
paired with element i + head_dim / 2. Knows nothing of caches.
"""

from __future__ import annotations

import numpy as np

from bandtok.lm.config import MusicLMConfig


def rotary_angles(config: MusicLMConfig, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the angles of queries and of keys, float64 [..., length, head_dim / 2] each.

    Queries are rotated by the cell that is to be generated, keys with the cell of the code before;
    the first position, which holds none, has a key that is not rotated.

    Args:
        config: shape and rotary bases of the model; "1d" turns by the raster index.
        order: int64 [..., length] raster indices.

    Source: RoFormer (2104.09864) section 3, applied to each axis on its own half of the pairs.
    """
    pairs = config.head_dim // 2
    if config.rope == "1d":
        queries = _angles(order, pairs, config.time_base)
    else:
        frames, bands = order // config.num_bands, order % config.num_bands
        queries = np.concatenate(
            [
                _angles(frames, pairs // 2, config.time_base),
                _angles(bands, pairs // 2, config.band_base),
            ],
            axis=-1,
        )
    keys = np.zeros_like(queries)
    keys[..., 1:, :] = queries[..., :-1, :]
    return queries, keys


def _angles(indices: np.ndarray, pairs: int, base: float) -> np.ndarray:
    rates = base ** -(np.arange(pairs) / pairs)
    return indices[..., None] * rates
