"""A bounded queue of jobs and the one thread that runs them.

The model serves one job at a time. Jobs report steps, can be canceled while they wait or run, and
end with a result or an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf
from typing import Any, Literal

from bandtok.errors import BandTokError

State = Literal["queued", "running", "done", "failed", "canceled"]
_FIRST_GUESS_SECONDS = 5.0


class Busy(BandTokError):
    """The queue is full; `retry_after` is in seconds."""

    def __init__(self, waiting: int, retry_after: int) -> None:
        super().__init__(
            f"the server is busy: {waiting} requests are waiting; try again in {retry_after} s"
        )
        self.retry_after = retry_after


class Canceled(BandTokError):
    """The client canceled the job or went away."""


class TimedOut(BandTokError):
    """A job waited or ran for too long; `own` if that was the request's own limit."""

    def __init__(self, doing: str, own: bool) -> None:
        limit = "the request's time limit" if own else "the server's time limit"
        super().__init__(f"{limit} was reached while {doing}")
        self.own = own


@dataclass(frozen=True)
class Event:
    """What a client receives while a job is running; `data` is JSON."""

    name: str
    data: dict[str, Any]


class Job:
    """One piece of work for the model.

    Args:
        work: called in the worker's thread with the job itself; returns the result.
        queue_seconds: how long the job may wait.
        run_seconds: how long it may run; checked at every step.
        all_seconds: limit of both together.
    """

    def __init__(
        self,
        work: Callable[[Job], Any],
        queue_seconds: float,
        run_seconds: float,
        all_seconds: float = inf,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.state: State = "queued"
        self.step = self.total_steps = 0
        self.result: Any = None
        self.error: Exception | None = None
        self._work, self._run_seconds = work, run_seconds
        now = time.monotonic()
        self._last = now + all_seconds
        self._deadline = min(now + queue_seconds, self._last)
        self._canceled, self.finished = threading.Event(), threading.Event()
        self._subscribers: list[Callable[[Event | None], None]] = []
        self._lock = threading.Lock()

    def report(self, step: int, total: int) -> None:
        """Report finished steps, and stop here if the job was canceled or its time is over."""
        self.step, self.total_steps = step, total
        self.emit("progress", {"step": step, "total_steps": total})
        self.check()

    def check(self) -> None:
        """Raise Canceled or TimedOut if the job is to stop."""
        if time.monotonic() > self._deadline:
            doing = "waiting for the model" if self.state == "queued" else "running"
            raise TimedOut(doing, own=self._deadline == self._last)
        if self._canceled.is_set():
            raise Canceled("canceled")

    def cancel(self) -> None:
        """Ask the job to stop: at once if it waits, at its next step if it runs."""
        self._canceled.set()

    def emit(self, name: str, data: dict[str, Any]) -> None:
        """Send an event to all subscribers; called in the worker's thread."""
        self._send(Event(name, data))

    def run(self) -> None:
        """Run to the end, in the worker's thread."""
        try:
            self.check()
            self.state = "running"
            self._deadline = min(time.monotonic() + self._run_seconds, self._last)
            self.emit("started", {})
            self.result = self._work(self)
            self.state = "done"
        except Exception as error:
            self.error = error
            self.state = "canceled" if isinstance(error, Canceled) else "failed"
        with self._lock:
            self.finished.set()
        self._send(None)

    def subscribe(self) -> asyncio.Queue[Event | None]:
        """Return a queue of the events from here on, for the running event loop; None ends it."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def subscriber(event: Event | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(queue.put_nowait, event)

        with self._lock:
            self._subscribers.append(subscriber)
            if self.finished.is_set():
                subscriber(None)
        return queue

    def _send(self, event: Event | None) -> None:
        with self._lock:
            for subscriber in self._subscribers:
                subscriber(event)


class JobQueue:
    """Runs jobs one after another in a thread of its own.

    Args:
        size: jobs that may wait while one runs.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._closed = False
        self._mean_seconds = _FIRST_GUESS_SECONDS
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="bandtok-model", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Job:
        """Append a job.

        Raises:
            Busy: if `size` jobs are waiting.
        """
        with self._changed:
            if self._closed or len(self._waiting) >= self.size:
                seconds = ceil(self._mean_seconds * max(len(self._waiting), 1))
                raise Busy(len(self._waiting), min(max(seconds, 1), 600))
            self._waiting.append(job)
            self._changed.notify()
        return job

    def cancel(self, job: Job) -> None:
        """Cancel a job; one that waits gives its place free at once."""
        job.cancel()
        with self._changed:
            waits = job in self._waiting
            if waits:
                self._waiting.remove(job)
        if waits:
            job.run()  # ends as canceled

    def find(self, job_id: str) -> Job | None:
        """Return the job of that id that waits or runs."""
        with self._changed:
            jobs = [*self._waiting, *([self._running] if self._running else [])]
        return next((job for job in jobs if job.id == job_id), None)

    def position(self, job: Job) -> int:
        """Return how many jobs come first; 0 for one that runs or has ended."""
        with self._changed:
            if job not in self._waiting:
                return 0
            return self._waiting.index(job) + (self._running is not None)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        return self._running is not None

    def stop(self) -> None:
        """Cancel all jobs and take no more."""
        with self._changed:
            self._closed = True
            left = [*self._waiting, *([self._running] if self._running else [])]
            self._changed.notify()
        for job in left:
            self.cancel(job)

    def close(self) -> None:
        """As `stop`, and wait for the thread to end."""
        self.stop()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._running = None
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                job = self._running = self._waiting.popleft()
            began = time.monotonic()
            job.run()
            if job.state == "done":
                self._mean_seconds += 0.3 * (time.monotonic() - began - self._mean_seconds)
