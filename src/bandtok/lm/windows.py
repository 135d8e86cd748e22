"""Which frames of a piece are generated in which window, and in what order each is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bandtok.lm.config import TokenOrder
from bandtok.lm.token_order import flatten, window_order


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """Frames that are generated in one window.

    Attributes:
        start: first frame that the model sees.
        first, last: it generates what is unknown in frames `first` to `last` - 1.
    """

    start: int
    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class WindowReading:
    """How one window is read.

    Attributes:
        order: int64 [length], raster indices in the window, as far as it has to be read.
        num_known: how many cells at the beginning are known.
        wanted: of each cell, whether it is to be generated.
        frames_done: before each cell, frames of the window that are final by then.
    """

    order: np.ndarray
    num_known: int
    wanted: list[bool]
    frames_done: list[int]


def plan_windows(unknown: np.ndarray, window: int) -> Iterator[WindowPlan]:
    """Decide which frames are generated in which window, from left to right.

    At an open end, windows begin at multiples of half their length and write their second half (the
    first one all of it), wherever the writing began: a continuation is the same as never having
    stopped. What has something known after it, or in its own frames, lies in the middle of its
    window; a longer stretch is generated half a window at a time, with a quarter of context on
    either side.

    Args:
        unknown: bool [bands, frames], True where a code is to be generated.
        window: frames the model can see.
    """
    frames = unknown.shape[1]
    touched = np.any(unknown, axis=0)
    known_ends = np.flatnonzero((~unknown).any(axis=0))
    open_end = int(known_ends[-1]) + 1 if len(known_ends) else 0
    frame, half = 0, window // 2
    while True:
        while frame < frames and not touched[frame]:
            frame += 1
        if frame == frames:
            return
        if frame >= open_end:
            start = max(frame // half - 1, 0) * half
            last = min(start + 2 * half, frames)
        else:
            last = frame + 1
            while last < min(open_end, frame + half) and touched[last]:
                last += 1
            before = (window - (last - frame)) // 2
            start = max(min(frame - before, frames - window), 0)
        yield WindowPlan(start=start, first=frame, last=last)
        frame = last


def read_window(
    unknown: np.ndarray, plan: WindowPlan, window: int, kind: TokenOrder
) -> WindowReading:
    """Return how a window is read.

    Args:
        unknown: bool [bands, frames] of the whole piece.
        plan: the window.
        window: frames the model can see.
        kind: the model's token order.
    """
    bands = unknown.shape[0]
    view = unknown[:, plan.start : plan.start + window]
    if view[:, plan.last - plan.start :].all():  # nothing is known beyond what is generated now
        view = view[:, : plan.last - plan.start]
    order = window_order(~view, kind)
    here = np.zeros_like(view)
    here[:, plan.first - plan.start : plan.last - plan.start] = True
    wanted = flatten(view & here)[order]
    end = int(np.flatnonzero(wanted)[-1]) + 1
    order, wanted = order[:end], wanted[:end]
    open_frames = np.where(wanted, order // bands, view.shape[1])
    known = ~flatten(view)[order]
    return WindowReading(
        order=order,
        num_known=int(np.logical_and.accumulate(known).sum()),
        wanted=wanted.tolist(),
        frames_done=np.minimum.accumulate(open_frames[::-1])[::-1].tolist(),
    )
