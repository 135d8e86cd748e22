"""The examples below each command's help are lines that the program accepts."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.parsing import parse
from typer.core import TyperGroup
from typer.main import get_command

from bandtok.cli.examples import EXAMPLES
from bandtok.cli.main import app

LINES = [(name, line) for name, lines in EXAMPLES.items() for line in lines]


def _commands(group: Any, prefix: str = "") -> Iterator[str]:
    context = group.context_class(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            assert "Examples:" in (command.epilog or ""), prefix + name
            yield prefix + name


def test_every_command_has_examples() -> None:
    assert set(_commands(get_command(app))) == set(EXAMPLES)


@pytest.mark.parametrize(("name", "line"), LINES)
def test_examples_parse(
    name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line)
    for word in words:  # what the example reads, or writes below
        if "." in word and not word.startswith("-"):
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            Path(word).touch()
        elif word[:1].isalpha() and " " not in word:
            Path(word).mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(typer.Exit):  # --describe ends while it is parsed
        parse(app, [*name.split(), *words])
