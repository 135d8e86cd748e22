"""Command lines parsed as the program does, without running anything."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command


def parse(app: typer.Typer, words: list[str]) -> None:
    """Parse down to the values of options; raises typer.TyperException."""
    command: Any = get_command(app)
    context = None
    while isinstance(command, TyperGroup):
        context = command.context_class(command, parent=context, info_name=words[0])
        command, words = command.get_command(context, words[0]), words[1:]
        assert command is not None, words
    command.make_context(command.name, list(words), parent=context)
