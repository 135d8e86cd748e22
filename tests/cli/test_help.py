"""Every command's help: quick, and without the libraries that the command itself needs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from bandtok.cli.evaluate import SYSTEM_NAMES
from bandtok.cli.main import HELP, app
from bandtok.cli.suffixes import TOKEN_SUFFIX
from bandtok.evaluation.systems import ALL_SYSTEMS
from bandtok.tokens.token_file import TOKEN_FILE_SUFFIX

HEAVY = {
    "torch",
    "librosa",
    "matplotlib",
    "transformers",
    "huggingface_hub",
    "sklearn",
    "scipy",
    "numba",
    "PIL",
    "soundfile",
    "soxr",
}
NOT_YET = {"generate": {"soundfile", "soxr"}, "edit": {"soxr"}}  # levels are imported at the top
_PROGRAM = """
import sys
from bandtok.cli.main import app
sys.argv = ["bandtok", *{words!r}, "--help"]
try:
    app(prog_name="bandtok")
except SystemExit as end:
    found = sorted(set({heavy!r}) & set(sys.modules))
    print("LOADED", *found)
    sys.exit(end.code)
"""


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from commands(command.get_command(None, name), (*words, name))


ALL = list(commands(get_command(app)))


def test_sub_commands_are_found() -> None:
    assert ("evaluate", "tokens") in ALL
    assert ("data", "tokenize") in ALL
    assert ("generate",) in ALL


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_loads_no_large_library(words: tuple[str, ...]) -> None:
    heavy = HEAVY - NOT_YET.get(" ".join(words), set())
    code = _PROGRAM.format(words=list(words), heavy=sorted(heavy))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "CI": ""}
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert done.stdout.splitlines()[-1].strip() == "LOADED"


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = _PROGRAM.format(words=[], heavy=[f"bandtok.cli.{name}" for name in HELP])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].strip() == "LOADED"
    assert all(f" {name} " in done.stdout for name in HELP)


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    program: Any = get_command(app)
    for name, text in HELP.items():
        assert program.get_command(None, name).help.split("\n\n")[0].replace("\n", " ") == text


def test_flags_are_shown_without_a_value() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bandtok", "encode", "--help"], capture_output=True, text=True
    )
    assert "--stereo" in done.stdout
    assert "<bool>" not in done.stdout


def test_the_suffix_is_that_of_the_package() -> None:
    assert TOKEN_SUFFIX == TOKEN_FILE_SUFFIX


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bandtok", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("bandtok ")


def test_systems_that_help_names_are_those_there_are() -> None:
    assert tuple(system.name for system in ALL_SYSTEMS) == SYSTEM_NAMES
