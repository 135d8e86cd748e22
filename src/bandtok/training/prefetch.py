"""The next step's batch, made while this step runs: step -> batch, one ahead.

For accelerators, which would otherwise wait for the processor. What is made depends on the step
alone, so that nothing changes but the time it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Batch = TypeVar("Batch")


class Prefetch(Generic[Batch]):
    """Makes batches in a thread, one step ahead.

    Args:
        make: step -> its batch; called in another thread.
    """

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._pending: dict[int, Future[Batch]] = {}

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step and begin on the next one's."""
        future = self._pending.pop(step, None)
        self._pending.clear()
        batch = self._make(step) if future is None else future.result()
        self._pending[step + 1] = self._thread.submit(self._make, step + 1)
        return batch
