"""Inputs and an output on the command line -> one job per file, run one after the other.

One file gives one file. Several files, or a folder, give a folder: its tree is kept, done files are
skipped, and a broken file costs one line and not the rest.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import typer

from bandtok.cli.console import (
    ProgressBars,
    Report,
    echo,
    print_json,
    progress_bars,
    silent_codecs,
)
from bandtok.cli.group import fail, one_line
from bandtok.errors import BandTokError, BandTokWarning, DataError, printable
from bandtok.signal.find_files import find_files

_PIPE = Path("-")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file to make from another; `piped` if the result goes to standard output."""

    source: Path
    target: Path
    piped: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All jobs of a command; `many` if the output is a folder.

    `unread` are folders below the inputs that cannot be read.
    """

    jobs: list[Job]
    many: bool
    unread: list[OSError] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a job made: values for --json, and the same as one line for people."""

    values: dict[str, object]
    line: str


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """How a batch shows itself and treats files that are there."""

    overwrite: bool
    quiet: bool
    json: bool


@dataclass
class _Tally:
    files: list[dict[str, object]] = field(default_factory=list)
    done: int = 0
    skipped: int = 0
    failed: int = 0


def plan_jobs(
    inputs: Sequence[Path],
    output: Path,
    *,
    suffixes: Collection[str],
    output_suffix: str,
    allowed_outputs: Collection[str],
) -> Plan:
    """Decide which file becomes which.

    Args:
        inputs: files and folders.
        output: a file for one input file, else a folder.
        suffixes: lower-case suffixes looked for in folders.
        output_suffix: suffix of the files in an output folder.
        allowed_outputs: suffixes that a single output file may have.

    Raises:
        typer.BadParameter: if `output` does not fit the inputs.
        DataError: if a folder holds no such file.
    """
    if len(inputs) == 1 and not inputs[0].is_dir():
        return Plan(
            jobs=[_single_job(inputs[0], output, output_suffix, allowed_outputs)], many=False
        )
    if _PIPE in (*inputs, output):
        raise typer.BadParameter(f"{_PIPE} stands for one file; several need a folder")
    if output.is_file():
        raise typer.BadParameter(f"{output} is a file; several inputs need a folder")
    jobs, unread = [], list[OSError]()
    for source, name in _sources(inputs, output, suffixes, unread):
        jobs.append(Job(source=source, target=output / name.with_suffix(output_suffix)))
    for job in jobs:
        _refuse_own_source(job)
    return Plan(jobs=jobs, many=True, unread=unread)


def run_jobs(
    plan: Plan, work: Callable[[Job, Report], Done], options: BatchOptions, verb: str
) -> None:
    """Run all jobs and print what came of them.

    Raises:
        typer.Exit: with code 1 if a job of several failed.
        BandTokError, OSError: if the only job failed.
    """
    tally, taken = _Tally(), dict[Path, Path]()
    with (
        warnings.catch_warnings(),
        silent_codecs(),
        progress_bars(options.quiet) as bars,
        bars.task(f"{verb} files") as report,
    ):
        if options.quiet:
            warnings.simplefilter("ignore", BandTokWarning)
        for index, job in enumerate(plan.jobs):
            if plan.many:
                report(index, len(plan.jobs))
            _run_one(job, plan.many, work, options, bars, tally, taken)
        for error in plan.unread:
            source, reason = str(error.filename), one_line(error)
            tally.files.append({"source": source, "status": "failed", "error": reason})
            _fail_one(tally, reason)
    if options.json and not any(job.piped for job in plan.jobs):
        print_json(vars(tally))
    elif plan.many and not options.quiet:
        typer.echo(f"{tally.done} done, {tally.skipped} skipped, {tally.failed} failed")
    if tally.failed:
        raise typer.Exit(1)


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Raise DataError if a named output is there and may not be replaced."""
    if target.exists() and not overwrite:
        raise DataError(f"{target} exists; add --overwrite to replace it")


def _run_one(
    job: Job,
    many: bool,
    work: Callable[[Job, Report], Done],
    options: BatchOptions,
    bars: ProgressBars,
    tally: _Tally,
    taken: dict[Path, Path],
) -> None:
    entry: dict[str, object] = {"source": str(job.source), "target": str(job.target)}
    tally.files.append(entry)
    try:
        if job.target in taken:
            raise DataError(f"{taken[job.target]} already gives {job.target}; rename one of them")
        taken[job.target] = job.source
        if many and job.target.exists() and not options.overwrite:
            tally.skipped += 1
            entry["status"] = "skipped"
            return
        if not job.piped:
            refuse_existing(job.target, options.overwrite)
            job.target.parent.mkdir(parents=True, exist_ok=True)
        with bars.task(printable(job.source.name)) as report, _pipes(job) as on_disk:
            result = work(on_disk, report)
    except (BandTokError, OSError) as error:
        if not many:
            raise
        entry.update(status="failed", error=one_line(error))
        _fail_one(tally, f"{job.source}: {one_line(error)}")
        return
    tally.done += 1
    entry.update(status="done", **result.values)
    if not (options.json or options.quiet or job.piped):
        echo(printable(f"{job.source} -> {job.target}: {result.line}"))


def _fail_one(tally: _Tally, message: str) -> None:
    tally.failed += 1
    fail(message)


@contextmanager
def _pipes(job: Job) -> Iterator[Job]:
    """Yield the job with files in place of standard input and standard output."""
    if job.source != _PIPE and not job.piped:
        yield job
        return
    with tempfile.TemporaryDirectory(prefix="bandtok-") as folder:
        source, target = job.source, job.target
        if source == _PIPE:
            source = Path(folder) / "stdin"
            with source.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        if job.piped:
            target = Path(folder) / target.name
        yield replace(job, source=source, target=target)
        if job.piped:
            with target.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def _single_job(source: Path, output: Path, suffix: str, allowed: Collection[str]) -> Job:
    for path, stream in ((source, sys.stdin), (output, sys.stdout)):
        if path == _PIPE and stream.isatty():
            raise typer.BadParameter(f"{_PIPE} is a terminal here; expected a pipe or a file")
    if output == _PIPE:
        job = Job(source=source, target=Path(f"stdout{suffix}"), piped=True)
    elif output.is_dir():
        name = Path("stdin") if source == _PIPE else source
        job = Job(source=source, target=output / name.with_suffix(suffix).name)
    elif output.suffix.lower() not in allowed:
        raise typer.BadParameter(
            f"the output {output} must end in {', '.join(sorted(allowed))}, or be a folder"
        )
    else:
        job = Job(source=source, target=output)
    if not job.piped:
        _refuse_own_source(job)
    return job


def _sources(
    inputs: Sequence[Path], output: Path, suffixes: Collection[str], unread: list[OSError]
) -> list[tuple[Path, Path]]:
    """Return (file, name inside the output folder) of every input."""
    found = []
    for entry in inputs:
        if not entry.is_dir():
            found.append((entry, Path(entry.name)))
            continue
        paths = find_files(entry, suffixes, unread.append)
        made_here = _real(output) if _real(output) != _real(entry) else None
        inside = [
            (path, path.relative_to(entry))
            for path in paths
            if not (made_here and _real(path).is_relative_to(made_here))
        ]
        if not inside:
            expected = ", ".join(sorted(suffixes))
            raise DataError(f"{entry} holds no file that ends in {expected}")
        found += inside
    return found


def _refuse_own_source(job: Job) -> None:
    if _real(job.target) == _real(job.source):
        raise typer.BadParameter(f"{job.source} would be written over itself; choose another OUT")


def _real(path: Path) -> Path:
    # Path.resolve raises on a loop of links, which the work itself will report.
    return Path(os.path.realpath(path))
