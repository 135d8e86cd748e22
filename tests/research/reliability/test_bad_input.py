"""Bad inputs through the program, and that the table would see a program that is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
import typer

from research.reliability import bad_files, bad_input
from research.reliability.bad_input_cases import Case, cases

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes, limits and devices")
CASES = list(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.verb}: {case.what}")
def test_the_answer_is_the_one_owed(case: Case) -> None:
    found = bad_input.answer(case)
    if found.skipped:
        pytest.skip(found.line)
    assert found.problems == ()
    assert found.line.isprintable()
    assert len(found.line) > 10


def test_every_case_has_a_line_of_its_own() -> None:
    lines = [(case.verb, case.what) for case in CASES]
    assert len(lines) > 100
    assert len(set(lines)) == len(lines)


def crash() -> None:
    raise IndexError(3)


def wrong_code() -> None:
    raise typer.Exit(3)


def silent() -> None:
    raise typer.Exit(1)


def two_lines() -> None:
    typer.echo("bandtok: one\nbandtok: two", err=True)
    raise typer.Exit(1)


def makes_nothing() -> None:
    return


@pytest.mark.parametrize("behavior", [crash, wrong_code, silent, two_lines, makes_nothing])
def test_a_wrong_program_is_seen(
    monkeypatch: pytest.MonkeyPatch, behavior: Callable[[], None]
) -> None:
    def encode(
        files: list[str], output: str = typer.Option("", "-o"), model: str = "", device: str = ""
    ) -> None:
        behavior()

    monkeypatch.setattr("bandtok.cli.encode.encode", encode)
    exit_code = 0 if behavior is makes_nothing else 1
    case = Case(what="text", make=bad_files.file("a.wav", b"text"), exit_code=exit_code)
    assert bad_input.answer(case).problems
