"""Spectrograms and token grids as small PNG files without axes, for pages that draw their own.

    ln-mel [n_mels, mel_frames], TokenGrid -> PNG bytes, one pixel per value

The left edge is the beginning and the right edge the end, so that a line can be moved over them in
time with the sound. The lowest row is at the foot.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from bandtok.colormaps import Colormap, colors
from bandtok.evaluation.picture_scales import DECIBELS, RANGE_DB, narrowed
from bandtok.tokens.code_colors import token_image
from bandtok.tokens.grid import TokenGrid

MEL_LEVELS = 64
"""Colors of a spectrogram: 1.4 dB each, and half the bytes of 256."""


def bare_mel(mel: np.ndarray, *, top: float, bottom: float) -> bytes:
    """Draw an ln-mel.

    Args:
        mel: float [n_mels, mel_frames], neither of them 0.
        top: ln-mel of the brightest color, the same for pictures that are to be compared.
        bottom: ln-mel of digital silence; no color is given to what is below it.
    """
    bottom = max(top - RANGE_DB / DECIBELS, bottom)
    share = (narrowed(mel) - bottom) / max(top - bottom, 1e-6)
    levels = np.clip(np.round(share * (MEL_LEVELS - 1)), 0, MEL_LEVELS - 1)
    return _palette_png(levels, "magma", MEL_LEVELS)


def bare_tokens(grid: TokenGrid) -> bytes:
    """Draw a grid that is not empty; see `token_image`."""
    content = io.BytesIO()
    Image.fromarray(token_image(grid)[::-1]).save(content, format="PNG", optimize=True)
    return content.getvalue()


def _palette_png(levels: np.ndarray, colormap: Colormap, count: int) -> bytes:
    """Write levels [rows, columns], each in [0, count), upside down, as a PNG with a palette."""
    picture = Image.fromarray(levels[::-1].astype(np.uint8), mode="P")
    palette = colors(np.linspace(0, 1, count), colormap)
    picture.putpalette(palette.tobytes())
    content = io.BytesIO()
    picture.save(content, format="PNG", optimize=True)
    return content.getvalue()
