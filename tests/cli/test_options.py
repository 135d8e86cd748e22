"""The commands and their options are a file: adding one edits it.

`python -m tests.cli.test_options` writes the file anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from bandtok.cli.main import app

FILE = Path(__file__).with_name("options.txt")


def lines(command: Any, words: tuple[str, ...] = ("bandtok",)) -> Iterator[str]:
    names = []
    for parameter in command.params:
        options = [*parameter.opts, *parameter.secondary_opts]
        is_argument = parameter.param_type_name == "argument"
        names.append(parameter.name.upper() if is_argument else "/".join(options))
    yield " ".join([*words, *sorted(names)])
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from lines(command.get_command(None, name), (*words, name))


def test_commands_and_options_are_those_of_the_file() -> None:
    assert list(lines(get_command(app))) == FILE.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    FILE.write_text("\n".join(lines(get_command(app))) + "\n", encoding="utf-8")
