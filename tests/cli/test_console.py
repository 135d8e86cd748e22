"""Progress: plain lines in a file, results above the bars on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bandtok.cli.console import PlainLines, progress_bars

_FOLDER_JOB = """
import sys, time
from bandtok.cli.batch import BatchOptions, Done, Job, Plan, run_jobs
from pathlib import Path
folder = Path(sys.argv[1])
jobs = [Job(source=folder / f"{i}.wav", target=folder / f"{i}.btk") for i in range(3)]
def work(job, report):
    report(1, 2)
    time.sleep(0.15)
    return Done(values={}, line="done")
options = BatchOptions(overwrite=False, quiet=False, json=False)
run_jobs(Plan(jobs=jobs, many=True), work, options, "copying")
"""


class Clock:
    """A format_time that the test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_plain_lines_come_at_most_once_per_ten_seconds() -> None:
    written: list[str] = []
    format_time = Clock()
    lines = PlainLines(written.append, format_time)
    with lines.task("encoding files") as files, lines.task("a.wav") as file:
        for second in range(0, 41):
            format_time.seconds = second
            files(1, 4)
            file(second, 40)
    assert written == [
        "encoding files 25%, a.wav 22%, 0:30 left",
        "encoding files 25%, a.wav 48%, 1:00 left",
        "encoding files 25%, a.wav 72%, 1:30 left",
        "encoding files 25%, a.wav 98%, 2:00 left",
    ]


def test_progress_in_a_file_has_no_control_characters(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bandtok.cli.console.SECONDS_BETWEEN_LINES", 0.0)
    with progress_bars(quiet=False) as bars, bars.task("work") as report:
        report(1, 2)
    assert re.fullmatch(r"work 50%, \d:\d\d left\n", capsys.readouterr().err)
    with progress_bars(quiet=True) as bars, bars.task("work") as report:
        report(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_folder_job_leaves_only_its_results_on_a_terminal(tmp_path: Path) -> None:
    main, side = pty.openpty()
    program = [sys.executable, "-c", _FOLDER_JOB, str(tmp_path)]
    with subprocess.Popen(
        program, stdout=side, stderr=side, env={**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    ):
        os.close(side)
        shown = b""
        while True:
            try:
                found = os.read(main, 4096)
            except OSError:  # Linux: the other side is closed
                break
            if not found:
                break
            shown += found
    os.close(main)
    screen = _screen(shown.decode())
    assert "━" in shown.decode()  # bars were drawn
    assert screen == [
        *(f"{tmp_path / str(i)}.wav -> {tmp_path / str(i)}.btk: done" for i in range(3)),
        "3 done, 0 skipped, 0 failed",
    ]


def _screen(output: str) -> list[str]:
    """Return the lines that a terminal shows after `output`: text, moves up and erasures."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", output):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token.startswith("\x1b"):
            if token.endswith("A"):
                row = max(0, row - int(token[2:-1] or 1))
            elif token == "\x1b[2K":
                lines[row] = ""
        else:
            before = lines[row][:column].ljust(column)
            lines[row] = before + token + lines[row][column + len(token) :]
            column += len(token)
    return [line.rstrip() for line in lines if line.strip()]
