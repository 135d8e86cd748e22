"""A token grid as an image for notebooks."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

from bandtok.tokens.code_colors import token_image

if TYPE_CHECKING:
    from bandtok.tokens.grid import TokenGrid

MAX_PICTURE_FRAMES = 4096
"""Frames of a longer grid are shown one in n."""


def grid_html(grid: TokenGrid) -> str:
    """Return an HTML image of a grid; only a line of text if it has no frames."""
    label = f"<code>{html.escape(repr(grid))}</code>"
    if not grid.codes.size:
        return f"<div>{label}</div>"
    data = base64.b64encode(grid_png(grid)).decode("ascii")
    style = "width:100%;height:8em;image-rendering:pixelated"
    return f'<div>{label}<br><img style="{style}" src="data:image/png;base64,{data}"></div>'


def grid_png(grid: TokenGrid) -> bytes:
    """Return a PNG with one pixel per token, lowest row at the bottom; see `token_image`."""
    from PIL import Image  # noqa: PLC0415  # slow to import, and only needed here

    step = -(-grid.num_frames // MAX_PICTURE_FRAMES)
    content = io.BytesIO()
    Image.fromarray(token_image(grid)[::-1, ::step]).save(content, format="PNG")
    return content.getvalue()
