"""Arrays as labeled RGB images for the run folder and tensorboard."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from bandtok.colormaps import colors
from bandtok.tokens.code_colors import token_image
from bandtok.tokens.grid import TokenGrid

_LABEL_HEIGHT = 16


def mel_image(mel: Tensor, low: float = -11.5, high: float = 2.0, width: int = 4) -> np.ndarray:
    """Color an ln-mel [n_mels, mel_frames], low frequencies at the bottom, frames `width` wide."""
    return colors((mel.detach().numpy()[::-1] - low) / (high - low), "magma").repeat(width, 1)


def usage_image(codes: Tensor, codebook_size: int, columns: int = 256) -> np.ndarray:
    """Draw how often each band (row, lowest at the bottom) uses each part of the codebook."""
    bands = codes.shape[1]
    rows = []
    for band in range(bands):
        used = codes[:, band].reshape(-1).numpy() * columns // codebook_size
        rows.append(np.bincount(used, minlength=columns)[:columns])
    usage = np.log1p(np.stack(rows[::-1]))
    return np.repeat(np.repeat(colors(usage / max(usage.max(), 1e-9), "viridis"), 8, 0), 2, 1)


def grid_image(grid: TokenGrid, size: int = 8) -> np.ndarray:
    """Draw a token grid, lowest band at the bottom, tokens `size` pixels wide and high."""
    return token_image(grid)[::-1].repeat(size, 0).repeat(size, 1)


def stack_images(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """Put images of equal width under one another, each below its label."""
    pieces = [piece for name, image in images.items() for piece in (_label(name, image), image)]
    return np.concatenate(pieces)


def _label(text: str, image: np.ndarray) -> np.ndarray:
    strip = Image.new("RGB", (image.shape[1], _LABEL_HEIGHT), "white")
    ImageDraw.Draw(strip).text((2, 2), text, fill="black")
    return np.asarray(strip)
