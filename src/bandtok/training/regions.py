"""Which cells of a window are known when a language model is trained to edit.

keep: bool [bands, frames]. A gap in time, a range of bands, rectangles: what users regenerate.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def sample_known_cells(num_bands: int, num_frames: int, rng: np.random.Generator) -> Tensor:
    """Sample which cells of a window are known: all but a gap in time, some bands, or rectangles.

    Returns:
        bool [num_bands, num_frames], never all True.
    """
    keep = np.ones((num_bands, num_frames), dtype=bool)
    kind = rng.integers(3)
    if kind == 0:
        keep[:, _span(num_frames, rng)] = False
    elif kind == 1:
        keep[_span(num_bands, rng)] = False
    else:
        for _ in range(rng.integers(1, 4)):
            keep[_span(num_bands, rng), _span(num_frames, rng)] = False
    return torch.from_numpy(keep)


def middle_gap(num_bands: int, num_frames: int) -> Tensor:
    """Return the fixed gap of validation: the middle third of the frames is unknown."""
    keep = torch.ones(num_bands, num_frames, dtype=torch.bool)
    keep[:, num_frames // 3 : num_frames - num_frames // 3] = False
    return keep


def _span(length: int, rng: np.random.Generator) -> slice:
    """Sample a span of at least one, long ones as likely as short ones."""
    size = int(rng.integers(1, length + 1)) if length > 1 else 1
    start = int(rng.integers(length - size + 1))
    return slice(start, start + size)
