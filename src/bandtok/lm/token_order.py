"""The orders in which a token grid becomes a sequence.

    codes [bands, frames]  <->  tokens [bands * frames]   (frame by frame, lowest band first)

The raster order, the delay order, in which row k of a frame comes with row 0 of the frame k later,
and the one for editing: what is known comes first, then the rest, each in raster order. A cell of a
window is named by its raster index.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from bandtok.errors import GridError
from bandtok.lm.config import ReadingOrder


def flatten(codes: Tensor) -> Tensor:
    """Write a grid as a sequence: int [..., bands, frames] -> [..., frames * bands]."""
    return rearrange(codes, "... bands frames -> ... (frames bands)")


def unflatten(tokens: Tensor, num_bands: int) -> Tensor:
    """Read a sequence as a grid: int [..., frames * bands] -> [..., bands, frames].

    Raises:
        GridError: if the length is not a whole number of frames.
    """
    if tokens.shape[-1] % num_bands:
        raise GridError(f"got {tokens.shape[-1]} tokens; expected a multiple of {num_bands} bands")
    return rearrange(tokens, "... (frames bands) -> ... bands frames", bands=num_bands)


def token_order(kind: ReadingOrder, num_bands: int, num_frames: int) -> Tensor:
    """Return the order in which a whole window is read, int64 [num_frames * num_bands].

    "raster": frame by frame, lowest band first. "delay": by frame + band, then by band, so that a
    row hears the rows below it of its own frame and, of each row above, what is as many frames
    earlier; the first and last diagonals are shorter.

    Source: the delay pattern of Copet et al. 2023 (MusicGen), a token at a time.
    """
    raster = torch.arange(num_frames * num_bands)
    if kind == "raster":
        return raster
    frame, band = positions(raster, num_bands).unbind(-1)
    return torch.argsort((frame + band) * num_bands + band, stable=True)


def window_order(keep: Tensor, kind: ReadingOrder = "raster") -> Tensor:
    """Return the order in which windows are read, each by what is known of it.

    The reading order if that is nothing but whole frames at the beginning, as when a piece is
    written on; else what is known first (`infill_order`). In raster order these are the same.

    Args:
        keep: bool [..., bands, frames], True where the code is known.
        kind: the reading order.

    Returns:
        int64 [..., bands * frames] raster indices.
    """
    edited = infill_order(keep)
    if kind == "raster":
        return edited
    begun = keep.all(dim=-2).to(torch.uint8).cummin(dim=-1).values.bool()
    plain = (keep == begun.unsqueeze(-2)).flatten(-2).all(dim=-1)
    whole = token_order(kind, keep.shape[-2], keep.shape[-1]).to(keep.device)
    return torch.where(plain.unsqueeze(-1), whole, edited)


def infill_order(keep: Tensor) -> Tensor:
    """Return the order in which a window is read when some of it is known: known cells first.

    Args:
        keep: bool [..., bands, frames], True where the code is known.

    Returns:
        int64 [..., bands * frames] raster indices; the raster order itself if nothing is known.
    """
    return torch.argsort((~flatten(keep)).to(torch.uint8), dim=-1, stable=True)


def positions(order: Tensor, num_bands: int) -> Tensor:
    """Return the (frame, band) of cells: int64 [...] raster indices -> int64 [..., 2]."""
    frames = torch.div(order, num_bands, rounding_mode="floor")
    return torch.stack((frames, order - frames * num_bands), dim=-1)


def neighbor_steps(order: Tensor, num_bands: int, offsets: Sequence[tuple[int, int]]) -> Tensor:
    """Return when the neighbors of each cell were read, for those read before the cell itself.

    Args:
        order: int64 [batch, length], distinct raster indices; cells may be missing.
        num_bands: rows of the grid.
        offsets: (frames later, bands higher) of each neighbor.

    Returns:
        int64 [batch, length, len(offsets)]: the neighbor's place in `order`, or -1 if it is read
        later, never, or lies outside.
    """
    batch, length = order.shape
    frames = int(order.max()) // num_bands + 1 if order.numel() else 0
    now = torch.arange(length, device=order.device)
    read = order.new_full((batch, frames * num_bands), length)
    read.scatter_(1, order, now.expand(batch, -1))
    frame, band = positions(order, num_bands).unbind(-1)
    steps = []
    for later, higher in offsets:
        inside = (frame + later >= 0) & (frame + later < frames)
        inside &= (band + higher >= 0) & (band + higher < num_bands)
        index = (order + later * num_bands + higher).clamp(0, max(read.shape[1] - 1, 0))
        step = read.gather(1, index)
        steps.append(torch.where(inside & (step < now), step, -1))
    return torch.stack(steps, dim=-1)
