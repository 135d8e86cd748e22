"""Every bad input of the table through the real program: its answer, in bounded time and memory.

    python -m research.reliability.bad_input [--write FILE.md]

For each: the exit code owed, one line on stderr if it failed and none if not, no traceback, nothing
printed past Python, no file left that should not be there. Exit code 1 if something is not so.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from bandtok.cli.main import app
from bandtok.errors import printable
from research.reliability.bad_input_cases import Case, cases
from research.reliability.fuzz_reader import cap_memory
from research.reliability.report import Section, machine, write_section

MAX_SECONDS = 60
MEMORY_CAP_BYTES = 2 << 30
_DEBUG_MODEL = ("--model", "debug", "--device", "cpu")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the program did; `problems` is empty if it did what it owes."""

    verb: str
    what: str
    exit_code: int
    line: str
    seconds: float
    problems: tuple[str, ...]
    skipped: bool = False


def answer(case: Case) -> Answer:
    """Run one case in a folder of its own."""
    if not case.root_too and os.geteuid() == 0:
        line = "not tried: the superuser may read everything"
        return Answer(
            verb=case.verb,
            what=case.what,
            exit_code=0,
            line=line,
            seconds=0,
            problems=(),
            skipped=True,
        )
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        source = case.make(home)
        before = _files(home)
        began = time.monotonic()
        with _file_limit(case.room), _alarm(), _descriptor_two() as printed:
            result = CliRunner().invoke(app, _arguments(case, home, source))
        seconds = time.monotonic() - began
        made = sorted(_files(home) - before)
        problems = list(_problems(case, result.exit_code, result.stderr, made))
        if not isinstance(result.exception, SystemExit | None):
            problems.append(f"traceback: {result.exception!r}")
        if printed:
            problems.append(f"printed past Python: {printed[0]!r:.200}")
        spoken = result.stderr or result.stdout
        line = spoken.replace(f"{name}/", "").partition("\n")[0]
        return Answer(
            verb=case.verb,
            what=case.what,
            exit_code=result.exit_code,
            line=line,
            seconds=seconds,
            problems=tuple(problems),
        )


def _arguments(case: Case, home: Path, source: Path) -> list[str]:
    arguments = [case.verb, *case.options]
    if case.output:
        arguments += ["-o", str(home / case.output), *_DEBUG_MODEL]
    return [*arguments, "--", str(source)]


def _problems(case: Case, code: int, stderr: str, made: list[str]) -> Iterator[str]:
    if code != case.exit_code:
        yield f"exit code {code}, {case.exit_code} owed"
    owed = case.stderr_lines
    if owed is None:
        owed = 0 if code == 0 else 1
    lines = stderr.splitlines()
    if len(lines) != owed:
        yield f"{len(lines)} lines on stderr, {owed} owed"
    if not all(line.isprintable() and line.startswith("bandtok: ") for line in lines):
        yield "a line on stderr is not one for people"
    if any(".part" in name for name in made):
        yield f"temporary files left: {made}"
    if code and made and case.output != "out":
        yield f"failed, but left {made}"
    if code == 0 and case.output and not made:
        yield "said it was done, but made nothing"


def _files(folder: Path) -> set[str]:
    return {os.path.join(at, name) for at, _, names in os.walk(folder) for name in names}


@contextmanager
def _file_limit(room: int | None) -> Iterator[None]:
    """Let no file grow beyond `room` bytes: a full disk that needs no disk."""
    if room is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError(f"no answer within {MAX_SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(MAX_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _descriptor_two() -> Iterator[list[bytes]]:
    """Catch what C libraries print; the list is filled when the block ends."""
    caught: list[bytes] = []
    kept = os.dup(2)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.dup2(writer, 2)
    os.close(writer)
    try:
        yield caught
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        with open(reader, "rb") as stream:
            caught += [text] if (text := stream.read()) else []


def _child(sender: multiprocessing.connection.Connection) -> None:
    answer(next(cases()))  # loads all libraries
    cap_memory(MEMORY_CAP_BYTES)
    for case in cases():
        sender.send(answer(case))


def run_capped() -> list[Answer]:
    """Run the table in a child process with capped memory."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(sender,))
    child.start()
    sender.close()
    answers: list[Answer] = []
    try:
        while True:
            answers.append(receiver.recv())
            print(f"{len(answers)}: {answers[-1].what}", file=sys.stderr)
    except EOFError:
        child.join()
    if child.exitcode:
        sys.exit(f"the process died after {len(answers)} cases: exit code {child.exitcode}")
    return answers


def _section(answers: list[Answer]) -> Section:
    tried = [found for found in answers if not found.skipped]
    wrong = sum(bool(found.problems) for found in tried)
    slowest = max(tried, key=lambda found: found.seconds)
    return Section(
        title="Bad inputs",
        command="python -m research.reliability.bad_input",
        columns=("command", "input", "exit code", "answer (first line)"),
        rows=[_row(found) for found in answers],
        note=(
            f"{len(tried)} of {len(answers)} cases tried, **{wrong} not as owed**. Owed: the exit "
            "code, one line on stderr for a failure (one for each bad file of a folder) and none "
            "otherwise, no traceback, no file left behind. Slowest: "
            f"{slowest.what}, {slowest.seconds:.1f} s (allowed: {MAX_SECONDS}); memory: at "
            f"most {MEMORY_CAP_BYTES >> 20} MiB above the start. Debug model, {machine()}."
        ),
    )


def _row(found: Answer) -> tuple[str, str, str, str]:
    line = found.line if len(found.line) <= 220 else f"{found.line[:140]} … {found.line[-70:]}"
    line = printable(line).replace("|", "\\|").replace("`", "'")
    shown = f"`{line}`" if line else ""
    what = f"{found.what}; **{'; '.join(found.problems)}**" if found.problems else found.what
    return found.verb, what, "-" if found.skipped else str(found.exit_code), shown


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--write", type=Path, metavar="FILE.md")
    arguments = parser.parse_args()
    answers = run_capped()
    write_section(_section(answers), arguments.write)
    wrong = [found for found in answers if found.problems]
    for found in wrong:
        print(f"{found.verb}, {found.what}: {found.problems}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
