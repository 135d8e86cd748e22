"""Every command and option of the program is described in docs/cli.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from bandtok.cli.main import app

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(command: Any, path: tuple[str, ...] = ("bandtok",)) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield " ".join(path), command
        return
    for name in command.list_commands(None):
        yield from commands(command.get_command(None, name), (*path, name))


COMMANDS = dict(commands(get_command(app)))


def section(name: str) -> str:
    found = re.search(rf"^#+ {re.escape(name)}$(.*?)(?=^#+ bandtok|\Z)", PAGE, re.M | re.S)
    assert found, f"docs/cli.md has no section '{name}'"
    return found[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_command_and_options_are_described(name: str) -> None:
    text = section(name)
    for parameter in COMMANDS[name].params:
        for option in [*parameter.opts, *parameter.secondary_opts]:
            if option.startswith("-") and option != "--help":
                assert f"`{option}" in text, f"{name} {option} is not in its section of docs/cli.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_described_options_exist(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    for option in re.findall(r"^\| ((?:`--?[\w-]+`[,/ ]*)+)", section(name), re.M):
        for word in re.findall(r"`(--?[\w-]+)`", option):
            assert word in options, f"docs/cli.md describes {word}, which {name} does not have"


def test_the_commands_are_those_of_the_contract() -> None:
    top = {name.split()[1] for name in COMMANDS}
    assert top >= {"encode", "decode", "reconstruct", "generate", "info", "verify", "data", "train"}
    assert "evaluate" in top


def test_options_of_the_program_itself_are_described() -> None:
    head = PAGE[: PAGE.index("\n## ")]
    for parameter in get_command(app).params:
        assert any(f"`{option}" in head or f" {option}`" in head for option in parameter.opts)
