"""A stream of columns cut into overlapping windows whose places depend on nothing but the stream.

However the stream arrives in blocks, the windows are the same, and so is all that is computed from
them, to the last bit. Knows nothing of what a column is: a sample, a mel frame or a token frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat

import numpy as np


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """How a stream is cut.

    Attributes:
        core: columns of the stream in a window, each in exactly one window.
        halo: columns of context on either side.
        step: the last window's core is cut down to a multiple of this that still covers the rest.
        first: core of the first two windows; every two later ones have twice as much, up to
            `core`. 0 is `core` at once, which takes least work.
    """

    core: int
    halo: int
    step: int
    first: int = 0

    def cores(self) -> Iterator[int]:
        """Yield the core of each window of an endless stream."""
        core = self.first or self.core
        while core < self.core:
            yield from (core, core)
            core *= 2
        yield from repeat(self.core)


@dataclass(frozen=True, kw_only=True)
class Window:
    """One window.

    Attributes:
        columns: [..., halo + core + halo], padded where the stream has not begun or is over.
        valid: how many of its core columns are part of the stream.
        start: place in the stream of its first core column.
    """

    columns: np.ndarray
    valid: int
    start: int


def cut_windows(
    blocks: Iterable[np.ndarray], plan: WindowPlan, edge: np.ndarray
) -> Iterator[Window]:
    """Cut a stream into windows, in order, each core beginning where the last one ended.

    Args:
        blocks: pieces [..., n] of the stream; n may differ and be 0.
        plan: sizes.
        edge: [..., 1], the column that pads the stream at both ends.
    """
    buffer, start, cores = _repeated(edge, plan.halo), 0, plan.cores()
    core = next(cores)
    for block in blocks:
        buffer = np.concatenate((buffer, block), axis=-1)
        while buffer.shape[-1] >= core + 2 * plan.halo:
            columns = buffer[..., : core + 2 * plan.halo]
            yield Window(columns=columns, valid=core, start=start)
            buffer, start, core = buffer[..., core:], start + core, next(cores)
    rest = buffer.shape[-1] - plan.halo
    while rest > 0:
        core = min(plan.core, -(-rest // plan.step) * plan.step)
        wanted = core + 2 * plan.halo
        padding = _repeated(edge, max(wanted - buffer.shape[-1], 0))
        padded = np.concatenate((buffer, padding), axis=-1)
        yield Window(columns=padded[..., :wanted], valid=min(core, rest), start=start)
        buffer, start, rest = buffer[..., core:], start + core, rest - core


def cut_overlapping(blocks: Iterable[np.ndarray], core: int, halo: int) -> Iterator[np.ndarray]:
    """Cut samples [..., n] that carry their own `halo` at both ends; the last may be short."""
    buffer: np.ndarray | None = None
    for block in blocks:
        buffer = block if buffer is None else np.concatenate((buffer, block), axis=-1)
        while buffer.shape[-1] >= core + 2 * halo:
            yield buffer[..., : core + 2 * halo]
            buffer = buffer[..., core:]
    if buffer is not None and buffer.shape[-1] > 2 * halo:
        yield buffer


def reflect_padded(
    blocks: Iterable[np.ndarray], padding: int, multiple: int
) -> Iterator[np.ndarray]:
    """Fill a stream of samples with zeros to a multiple, and mirror `padding` samples at both ends.

    Args:
        blocks: pieces [..., n] of the stream.
        padding: samples to mirror, fewer than `multiple`.
        multiple: the stream is filled up to a multiple of this; an empty stream stays empty.
    """
    assert padding < multiple
    total, held = 0, np.zeros(0, np.float32)
    for block in blocks:
        held = block if not total else np.concatenate((held, block), axis=-1)
        begun, total = total > padding, total + block.shape[-1]
        if total <= padding:
            continue
        if not begun:
            yield held[..., padding:0:-1]
        yield held[..., : -padding - 1]
        held = held[..., -padding - 1 :]
    if not total:
        return
    held = np.concatenate((held, _repeated(np.zeros_like(held[..., :1]), -total % multiple)), -1)
    if total <= padding:
        yield held[..., padding:0:-1]
    yield held
    yield held[..., -2 : -padding - 2 : -1]


def _repeated(column: np.ndarray, times: int) -> np.ndarray:
    """Repeat a column [..., 1] to [..., times]."""
    return np.broadcast_to(column, (*column.shape[:-1], times))
