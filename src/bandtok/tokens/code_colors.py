"""Colors of tokens for pictures of grids.

Codes of the bundled tokenizer are colored by their codebook entries, so that music is visible in a
picture: hue by direction of the entry, brightness by energy (`tools/write_code_colors.py`). Of
other tokenizers, and in pan rows, equal codes have equal colors and nothing more.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bandtok.colormaps import colors

if TYPE_CHECKING:
    from bandtok.tokens.grid import TokenGrid


def token_image(grid: TokenGrid) -> np.ndarray:
    """Return the colors of a grid, uint8 [rows, frames, 3], lowest row first."""
    image = _scattered(grid.codes)
    known = _known_colors(grid.fingerprint)
    if known is not None and len(known) == grid.codebook_size:
        image[: grid.num_bands] = known[grid.codes[: grid.num_bands]]
    return image


def colors_file(fingerprint: str) -> Path:
    """Return where the colors of a tokenizer's codes are, uint8 [codebook_size, 3]."""
    return Path(__file__).parent / f"code_colors_{fingerprint[:16]}.npy"


@functools.cache
def _known_colors(fingerprint: str) -> np.ndarray | None:
    if not fingerprint.isalnum() or not colors_file(fingerprint).is_file():
        return None
    found: np.ndarray = np.load(colors_file(fingerprint), allow_pickle=False)
    return found


def _scattered(codes: np.ndarray) -> np.ndarray:
    scattered = codes.astype(np.uint64) * 2_654_435_761 % 2**32 / 2**32
    return colors(scattered, "turbo")
