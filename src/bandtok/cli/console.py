"""What the program shows: progress on a terminal's stderr, results on stdout."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Protocol, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class Report(Protocol):
    """Called with what is done and all there is, in any unit, and words to show beside the bar."""

    def __call__(self, done: float, total: float, note: str = "", /) -> None: ...


class ProgressBars:
    """Nested progress bars; they draw nothing when stderr is no terminal."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    @contextmanager
    def task(self, label: str) -> Iterator[Report]:
        """Show one task while the block runs; yield what reports its progress."""
        task = self._bars.add_task(label, total=None)

        def report(done: float, total: float, note: str = "", /) -> None:
            text = f"{label} {note}".rstrip()
            self._bars.update(task, description=text, completed=done, total=total)

        try:
            yield report
        finally:
            self._bars.remove_task(task)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[ProgressBars]:
    """Open an area for progress bars; all traces go when the block ends."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as bars:
        yield ProgressBars(bars)


@contextmanager
def silent_codecs() -> Iterator[None]:
    """Keep what C libraries print about damaged files (libmpg123 does) off the terminal.

    Only this process's file descriptor 2 is turned away; Python's own messages still get through.
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


def clock(seconds: float) -> str:
    """Write a duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextmanager
def progress_steps(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a reporter of (step, done, in all) that draws one bar per step."""
    with progress_bars(quiet) as bars, ExitStack() as tasks:
        steps: dict[str, Report] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in steps:
                steps[step] = tasks.enter_context(bars.task(step))
            steps[step](done, total)

        yield report
