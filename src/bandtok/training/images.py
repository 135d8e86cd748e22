"""Arrays as small RGB images for the run folder and tensorboard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from bandtok.colormaps import Colormap, colors

_GAP = 4


def mel_image(mel: Tensor, low: float = -11.5, high: float = 2.0) -> np.ndarray:
    """Color an ln-mel [n_mels, mel_frames], low frequencies at the bottom."""
    return _colored((mel.detach().numpy()[::-1] - low) / (high - low), "magma")


def usage_image(codes: Tensor, codebook_size: int, columns: int = 256) -> np.ndarray:
    """Draw how often each band (row, lowest at the bottom) uses each part of the codebook."""
    bands = codes.shape[1]
    rows = []
    for band in range(bands):
        used = codes[:, band].reshape(-1).numpy() * columns // codebook_size
        rows.append(np.bincount(used, minlength=columns)[:columns])
    usage = np.log1p(np.stack(rows[::-1]))
    return np.repeat(np.repeat(_colored(usage / max(usage.max(), 1e-9), "viridis"), 8, 0), 2, 1)


def stack_images(images: Sequence[np.ndarray]) -> np.ndarray:
    """Put images of equal width under one another, a white line between them."""
    gap = np.full((_GAP, images[0].shape[1], 3), 255, np.uint8)
    pieces = [piece for image in images for piece in (image, gap)]
    return np.concatenate(pieces[:-1])


def _colored(values: np.ndarray, colormap: Colormap) -> np.ndarray:
    return colors(values, colormap)


def grid_image(codes: np.ndarray, codebook_size: int, size: int = 8) -> np.ndarray:
    """Draw codes [bands, frames], lowest band at the bottom, each code in a color of its own."""
    # Neighboring ids need not sound alike; the golden ratio sets their colors apart.
    hues = (codes[::-1] * 0.618034) % 1.0 if codebook_size > 1 else codes
    return colors(hues, "hsv").repeat(size, 0).repeat(size, 1)
