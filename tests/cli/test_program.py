"""The program as a whole: help, version, exit codes, one-line errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from bandtok import __version__
from bandtok.cli.group import one_line
from bandtok.errors import AudioError

Run = Callable[..., Result]
VERBS = ["encode", "decode", "reconstruct", "generate", "info", "verify", "data", "train"]


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"bandtok {__version__}\n")


@pytest.mark.parametrize("verb", [*VERBS, "evaluate"])
def test_every_verb_has_help(run: Run, verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_help_lists_every_verb(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(verb in result.stdout for verb in VERBS)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("sing",),
        ("encode",),
        ("encode", "a.wav"),
        ("encode", "a.wav", "-o", "a.txt"),
        ("encode", "a.wav", "-o", "a.btk", "--device", "abacus"),
        ("encode", "a.wav", "-o", "a.btk", "--unknown"),
        ("decode", "a.btk", "-o", "a.mp4"),
        ("reconstruct", "a.wav", "-o", "b.wav", "--plot", "c.jpg"),
        ("reconstruct", "a.wav", "-o", "a.wav"),
        ("generate", "-o", "a.wav"),
        ("generate", "calm", "--prompts", "p.txt", "-o", "a.wav"),
        ("generate", "calm", "-o", "a.txt"),
        ("generate", "calm", "-o", "a.wav", "--num-samples", "0"),
        ("generate", "calm", "-o", "a.mp3", "--stream"),
        ("verify", "a.btk", "b.btk", "--salvage", "c.btk"),
        ("train", "choir", "tiny", "--data", ".", "--output", "x"),
        ("train", "lm", "tiny", "--data", ".", "--output", "x", "--set", "novalue"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("bandtok: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_failed_job_is_one_line_and_code_1(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from bandtok.cli.main import run; run()"]
    done = subprocess.run(
        [*program, "info", str(tmp_path / "none.btk")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"bandtok: {tmp_path / 'none.btk'}: No such file or directory\n"


def test_one_line() -> None:
    assert one_line(AudioError("two\n  lines")) == "two lines"
    assert one_line(FileNotFoundError(2, "No such file", "a.wav")) == "a.wav: No such file"
    assert one_line(OSError()) == "OSError"
