"""What the program shows: progress on stderr, results on stdout.

On a terminal progress is shown as bars, and lines are printed above them; elsewhere it is plain
lines, at most one per 10 s.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

import typer

from bandtok.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_LINES = 10.0
_live: list[Progress] = []  # the display that is shown now, if any


class Report(Protocol):
    """Called with what is done and all there is, in any unit, and words to show next to the bar."""

    def __call__(self, done: float, total: float, note: str = "", /) -> None: ...


class ProgressBars(Protocol):
    """Shows nested tasks."""

    @contextmanager
    def task(self, label: str) -> Iterator[Report]:
        """Show one task while the block runs; yield what reports its progress."""
        ...


class LiveBars:
    """Nested progress bars on a terminal."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    @contextmanager
    def task(self, label: str) -> Iterator[Report]:
        """See ProgressBars."""
        task = self._bars.add_task(label, total=None)

        def report(done: float, total: float, note: str = "", /) -> None:
            text = f"{label} {note}".rstrip()
            self._bars.update(task, description=text, completed=done, total=total)

        try:
            yield report
        finally:
            self._bars.remove_task(task)


class PlainLines:
    """Progress as plain lines of text without control characters.

    Args:
        write: called with one line, or None to write nothing.
        now: clock in seconds.
    """

    def __init__(
        self, write: Callable[[str], None] | None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._now = write, now
        self._last = self._began = now()
        self._tasks: list[tuple[str, float]] = []  # label and share done, the outermost first

    def show(self, text: str) -> None:
        """Write `text` unless another line was written less than 10 s ago."""
        if self._write and self._now() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = self._now()
            self._write(text)

    @contextmanager
    def task(self, label: str) -> Iterator[Report]:
        """See ProgressBars."""
        depth = len(self._tasks)
        self._tasks.append((label, 0.0))

        def report(done: float, total: float, note: str = "", /) -> None:
            if depth < len(self._tasks):
                text = f"{label} {note}".rstrip()
                self._tasks[depth] = (text, min(done / total, 1.0) if total else 0.0)
                self.show(self._line())

        try:
            yield report
        finally:
            del self._tasks[depth:]

    def _line(self) -> str:
        parts = [f"{label} {share:.0%}" for label, share in self._tasks]
        share = self._tasks[0][1]
        if share:
            left = (self._now() - self._began) * (1 - share) / share
            parts.append(f"{format_time(left)} left")
        return ", ".join(parts)


def echo(text: str, err: bool = False) -> None:
    """Print a line on stdout or stderr, above the bars where a terminal shows any."""
    stream = sys.stderr if err else sys.stdout
    if _live and stream.isatty():
        _live[-1].console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        typer.echo(text, err=err)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[ProgressBars]:
    """Open an area for progress; all traces of bars go when the block ends."""
    if quiet or not sys.stderr.isatty():
        yield PlainLines(None if quiet else _stderr_line)
        return
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.table import Column

    label = Column(max_width=40, no_wrap=True, overflow="ellipsis")
    columns = (
        TextColumn("{task.description}", markup=False, table_column=label),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with _display(*columns) as bars:
        yield LiveBars(bars)


@contextmanager
def status_line(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Yield what shows a line of text: in place on a terminal, else once per 10 s or less."""
    if quiet or not sys.stderr.isatty():
        yield PlainLines(None if quiet else _stderr_line).show
        return
    from rich.progress import TextColumn
    from rich.table import Column

    line = Column(no_wrap=True, overflow="ellipsis")
    with _display(TextColumn("{task.description}", markup=False, table_column=line)) as bars:
        task = bars.add_task("")
        yield lambda text: bars.update(task, description=text)


@contextmanager
def _display(*columns: object) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress

    bars = Progress(*columns, console=Console(stderr=True), transient=True)  # type: ignore[arg-type]
    with bars:
        _live.append(bars)
        try:
            yield bars
        finally:
            _live.pop()


def _stderr_line(text: str) -> None:
    typer.echo(printable(text), err=True)


@contextmanager
def silent_codecs() -> Iterator[None]:
    """Keep what C libraries print about damaged files (libmpg123 does) off the terminal.

    Only this process's file descriptor 2 is redirected; Python's own messages still get through.
    """
    with ExitStack() as stack:
        python, sys_stderr = os.dup(2), sys.stderr
        stack.callback(os.close, python)
        if _is_descriptor_two(sys_stderr):
            encoding = sys_stderr.encoding
            sys.stderr = stack.enter_context(
                open(python, "w", 1, encoding, errors="backslashreplace", closefd=False)
            )
        stack.callback(setattr, sys, "stderr", sys_stderr)
        stack.callback(os.dup2, python, 2)
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield


def _is_descriptor_two(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 2
    except (OSError, ValueError):
        return False


def print_json(document: Mapping[str, object]) -> None:
    """Print one JSON document on stdout."""
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    typer.echo(json.dumps(document, indent=2, ensure_ascii=not unicode))


def format_time(seconds: float) -> str:
    """Write a duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextmanager
def progress_steps(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a reporter of (step, done, in all) that shows one bar per step."""
    with silent_codecs(), progress_bars(quiet) as bars, ExitStack() as tasks:
        steps: dict[str, Report] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in steps:
                steps[step] = tasks.enter_context(bars.task(step))
            steps[step](done, total)

        yield report
