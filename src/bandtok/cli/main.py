"""The `bandtok` program: its commands, each loaded when it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import typer
from typer.main import get_command, get_group

from bandtok import __version__
from bandtok.cli.examples import epilog
from bandtok.cli.group import Command, OneLineErrors
from bandtok.cli.memory import keep_freed_memory

HELP = {
    "encode": "Turn audio into token files (.btk).",
    "decode": "Turn token files into audio (.wav, .flac, .ogg or .mp3, by suffix).",
    "reconstruct": "Encode and decode audio; print bit rate and mel distance (below 0.3 is close).",
    "generate": "Generate music from a prompt.",
    "edit": "Regenerate a region and keep all other tokens.",
    "info": "Show the header, model, length, bit rate and provenance of a file.",
    "verify": "Check every byte of token files; exit code 1 if one is damaged.",
    "golden": "Compare this machine's tokens and sound with golden vectors; exit code 1 if too far "
    "off.",
    "export": "Join models and runs into one folder with ONNX graphs, which run without torch.",
    "train": "Train a network with a recipe on any folder of audio.",
    "serve": "Serve the HTTP API and the web studio.",
    "mcp": "Serve tools to assistants over the Model Context Protocol (standard input and output).",
    "report": "Write one self-contained page: players with spectrograms and tokens.",
    "data": "Build and describe corpora.",
    "evaluate": "Measure reconstructions, generated clips and tokens.",
}


class LazyCommands(Mapping[str, Any]):
    """The program's commands by name; a command's module is imported when it is looked up."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in HELP:
            raise KeyError(name)
        if name not in self._loaded:
            self._loaded[name] = _load(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(HELP)

    def __len__(self) -> int:
        return len(HELP)


class Program(OneLineErrors):
    """The group of all commands, which lists them without importing one."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands; the signature is typer's."""
        return list(self.commands)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the program's help; the signature is typer's."""
        listed = OneLineErrors(
            name=self.name,
            help=self.help,
            params=self.params,
            commands={name: Command(name, help=text) for name, text in HELP.items()},
        )
        listed.format_help(ctx, formatter)


app = typer.Typer(
    name="bandtok",
    cls=Program,
    help="Music as a grid of tokens, frequency bands by time frames.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


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


def _load(name: str) -> Any:
    """Import a command's module and return the command."""
    if name == "data":
        from bandtok.cli.data import app as data

        return get_group(data)
    if name == "evaluate":
        from bandtok.cli.evaluate import app as evaluate

        return get_group(evaluate)
    one = typer.Typer(add_completion=False)
    function = _function(name)
    recipes: list[str] = []
    if name == "train":
        from bandtok.cli.recipes import recipe_lines

        recipes = ["Recipes:", *recipe_lines()]
    one.command(name, cls=Command, epilog=epilog(name, *recipes))(function)
    return get_command(one)


def _function(name: str) -> Callable[..., None]:
    """Import the function behind a command that is no group."""
    function: Callable[..., None]
    if name == "encode":
        from bandtok.cli.encode import encode as function
    elif name == "decode":
        from bandtok.cli.decode import decode as function
    elif name == "reconstruct":
        from bandtok.cli.reconstruct import reconstruct as function
    elif name == "generate":
        from bandtok.cli.generate import generate as function
    elif name == "edit":
        from bandtok.cli.edit import edit as function
    elif name == "info":
        from bandtok.cli.info import info as function
    elif name == "verify":
        from bandtok.cli.info import verify as function
    elif name == "golden":
        from bandtok.cli.golden import golden as function
    elif name == "export":
        from bandtok.cli.export import export as function
    elif name == "train":
        from bandtok.cli.train import train as function
    elif name == "mcp":
        from bandtok.cli.mcp import mcp as function
    elif name == "serve":
        from bandtok.cli.serve import serve as function
    else:
        from bandtok.cli.report import report as function
    return function
