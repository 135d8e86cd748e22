"""The `bandtok` program: its commands and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from bandtok import __version__
from bandtok.cli import data, evaluate
from bandtok.cli.decode import decode
from bandtok.cli.edit import edit
from bandtok.cli.encode import encode
from bandtok.cli.generate import generate
from bandtok.cli.golden import golden
from bandtok.cli.group import OneLineErrors
from bandtok.cli.info import info, verify
from bandtok.cli.memory import keep_freed_memory
from bandtok.cli.reconstruct import reconstruct
from bandtok.cli.report import report
from bandtok.cli.train import train

app = typer.Typer(
    name="bandtok",
    cls=OneLineErrors,
    help="Music as a grid of tokens, frequency bands by time frames.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
COMMANDS = (
    encode,
    decode,
    reconstruct,
    generate,
    edit,
    info,
    verify,
    golden,
    train,
    report,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(data.app, name="data")
app.add_typer(evaluate.app, name="evaluate")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bandtok {__version__}")
        raise typer.Exit


@app.callback()
def bandtok(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Music as a grid of tokens, frequency bands by time frames."""


def run() -> None:
    """Run the program on the process's arguments."""
    keep_freed_memory()
    app(prog_name="bandtok")
