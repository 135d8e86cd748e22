"""The orders in which a token grid becomes a sequence.

    codes [bands, frames]  <->  tokens [bands * frames]   (frame by frame, lowest band first)

The raster order, the delay order, in which row k of a frame comes with row 0 of the frame k later,
and the one for editing: known tokens come first, then the rest, each in raster order. A cell of a
window is named by its raster index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bandtok.errors import GridError
from bandtok.lm.config import TokenOrder


def flatten(codes: Any) -> Any:
    """Write a grid as a sequence: int [..., bands, frames] -> [..., frames * bands].

    An array gives an array, a tensor a tensor; so does `unflatten`.
    """
    return codes.swapaxes(-1, -2).reshape(*codes.shape[:-2], -1)


def unflatten(tokens: Any, num_bands: int) -> Any:
    """Read a sequence as a grid: int [..., frames * bands] -> [..., bands, frames].

    Raises:
        GridError: if the length is not a whole number of frames.
    """
    if tokens.shape[-1] % num_bands:
        raise GridError(f"got {tokens.shape[-1]} tokens; expected a multiple of {num_bands} bands")
    frames = tokens.shape[-1] // num_bands
    return tokens.reshape(*tokens.shape[:-1], frames, num_bands).swapaxes(-1, -2)


def token_order(kind: TokenOrder, num_bands: int, num_frames: int) -> np.ndarray:
    """Return the order in which a whole window is read, int64 [num_frames * num_bands].

    "raster": frame by frame, lowest band first. "delay": by frame + band, then by band, so that a
    row is conditioned on the rows below it in its own frame and, of each row above, on what is as
    many frames earlier; the first and last diagonals are shorter.

    Source: the delay pattern of Copet et al. 2023 (MusicGen), one token at a time.
    """
    raster = np.arange(num_frames * num_bands)
    if kind == "raster":
        return raster
    frame, band = raster // num_bands, raster % num_bands
    return np.argsort((frame + band) * num_bands + band, kind="stable")


def window_order(keep: np.ndarray, kind: TokenOrder = "raster") -> np.ndarray:
    """Return the order in which windows are read, each by its known tokens.

    The token order if that is nothing but whole frames at the beginning, as in a continuation;
    else known tokens first (`infill_order`). In raster order these are the same.

    Args:
        keep: bool [..., bands, frames], True where the code is known.
        kind: the token order.

    Returns:
        int64 [..., bands * frames] raster indices.
    """
    infilled = infill_order(keep)
    if kind == "raster":
        return infilled
    begun = np.logical_and.accumulate(keep.all(axis=-2), axis=-1)
    plain = (keep == begun[..., None, :]).all(axis=(-2, -1))
    return np.where(plain[..., None], token_order(kind, *keep.shape[-2:]), infilled)


def infill_order(keep: np.ndarray) -> np.ndarray:
    """Return the order in which a window is read when some of it is known: known cells first.

    Args:
        keep: bool [..., bands, frames], True where the code is known.

    Returns:
        int64 [..., bands * frames] raster indices; the raster order itself if nothing is known.
    """
    return np.argsort(~flatten(keep), axis=-1, kind="stable")


def neighbor_steps(
    order: np.ndarray, num_bands: int, offsets: Sequence[tuple[int, int]]
) -> np.ndarray:
    """Return when the neighbors of each cell were read, for those read before the cell itself.

    Args:
        order: int64 [batch, length], distinct raster indices; cells may be missing.
        num_bands: rows of the grid.
        offsets: (frames later, bands higher) of each neighbor.

    Returns:
        int64 [batch, length, len(offsets)]: the neighbor's position in `order`, or -1 if it is read
        later, never, or lies outside.
    """
    batch, length = order.shape
    frames = int(order.max()) // num_bands + 1 if order.size else 0
    now = np.arange(length)
    read = np.full((batch, max(frames * num_bands, 1)), length)
    np.put_along_axis(read, order, np.broadcast_to(now, order.shape), axis=1)
    frame, band = order // num_bands, order % num_bands
    steps = np.empty((*order.shape, len(offsets)), np.int64)
    for column, (later, higher) in enumerate(offsets):
        inside = (frame + later >= 0) & (frame + later < frames)
        inside &= (band + higher >= 0) & (band + higher < num_bands)
        index = (order + later * num_bands + higher).clip(0, read.shape[1] - 1)
        step = np.take_along_axis(read, index, axis=1)
        steps[..., column] = np.where(inside & (step < now), step, -1)
    return steps
