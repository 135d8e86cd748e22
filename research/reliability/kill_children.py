"""Run the program in a child process and send it SIGKILL at a chosen moment.

A child is forked from this process, which has everything imported already, or a fresh interpreter.
A moment is a time on the clock, or the n-th operation that changes files: exactly before it, or a
few milliseconds later.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bandtok.cli.main import app

_CHANGES = frozenset(
    ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")
)
_NEVER = 1 << 62


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When to kill.

    Attributes:
        seconds: after the start, or after operation `operation` if there is one.
        operation: 1 is the first that changes files; forked children only.
    """

    seconds: float
    operation: int | None = None

    def __str__(self) -> str:
        if self.operation is None:
            return f"after {self.seconds:.3f} s"
        return f"{1000 * self.seconds:.1f} ms after the start of file operation {self.operation}"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a child ended: exit code (negative for a signal), seconds, file operations begun."""

    code: int
    seconds: float
    operations: int

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def run_forked(arguments: Sequence[str], log: Path, moment: Moment | None = None) -> Ended:
    """Run `bandtok ARGUMENTS` in a fork of this process.

    Args:
        arguments: of the program.
        log: file for its stdout and stderr.
        moment: when to kill it; None for never.

    Raises:
        RuntimeError: if this process has threads, which a fork would lose.
    """
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise RuntimeError(f"got {threads} threads; set OMP_NUM_THREADS=1 before the start")
    reader, writer = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_the_program(arguments, log, writer, moment)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        deadline = None if moment is None else began + moment.seconds
        if moment is not None and moment.operation is not None:
            deadline = time.monotonic() + moment.seconds if pipe.read(1) == b"!" else None
        if deadline is not None:
            # readable means the end: the child writes its count, or dies
            select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            os.kill(child, signal.SIGKILL)
        counted = pipe.read().lstrip(b"!")
    _, status = os.waitpid(child, 0)
    return Ended(
        code=os.waitstatus_to_exitcode(status),
        seconds=time.monotonic() - began,
        operations=int(counted or 0),
    )


def run_process(arguments: Sequence[str], log: Path, moment: Moment | None = None) -> Ended:
    """Run `bandtok ARGUMENTS` in a fresh interpreter; see run_forked."""
    command = [sys.executable, "-c", "from bandtok.cli.main import run; run()", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.monotonic()
    with open(log, "ab") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        if moment is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(moment.seconds)
            child.kill()
        code = child.wait()
    return Ended(code=code, seconds=time.monotonic() - began, operations=0)


def _be_the_program(arguments: Sequence[str], log: Path, pipe: int, moment: Moment | None) -> None:
    """Never returns."""
    code = 70
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(output, 1)
        os.dup2(output, 2)
        torch.set_num_threads(1)
        wanted = moment.operation if moment is not None and moment.operation else _NEVER
        count = _watch_files(wanted, lambda: _announce(pipe, moment))
        try:
            app(list(arguments), prog_name="bandtok")
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        sys.stdout.flush()
        os.write(pipe, str(count[0]).encode())
    finally:
        os._exit(code)


def _watch_files(wanted: int, reached: Callable[[], None]) -> list[int]:
    """Count operations that change files, in the returned list; call `reached` at one of them."""
    count = [0]

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and _writes(details)):
            count[0] += 1
            if count[0] == wanted:
                reached()

    sys.addaudithook(hook)
    return count


def _announce(pipe: int, moment: Moment | None) -> None:
    os.write(pipe, b"!")
    if moment is not None and moment.seconds == 0:
        signal.pause()  # the kill falls before the operation


def _writes(details: tuple[Any, ...]) -> bool:
    path, _, flags = details
    changing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    return isinstance(flags, int) and bool(flags & changing) and str(path) != os.devnull
