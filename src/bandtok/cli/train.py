"""`bandtok train`: a recipe and a folder of audio -> a run folder with a model."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bandtok.cli import options
from bandtok.cli.console import echo, print_json, silent_codecs, status_line
from bandtok.cli.recipes import recipe_lines


class Kind(StrEnum):
    """What can be trained."""

    TOKENIZER = "tokenizer"
    VOCODER = "vocoder"
    LM = "lm"
    RERANKER = "reranker"


def _list(wanted: bool) -> None:
    if wanted:
        for line in recipe_lines():
            typer.echo(line)
        raise typer.Exit


def _describe(context: typer.Context, wanted: bool) -> None:
    if not wanted:
        return
    kind, recipe = context.params.get("kind"), context.params.get("recipe")
    if kind is None or recipe is None:
        raise typer.BadParameter("--describe follows KIND and RECIPE")
    from bandtok.training.find_recipe import describe_recipe

    typer.echo(describe_recipe(str(kind), recipe))
    raise typer.Exit


def train(
    kind: Annotated[Kind, typer.Argument(help="What to train.", show_default=False, is_eager=True)],
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Name of a recipe, or a file like a run's recipe.json.",
            show_default=False,
            is_eager=True,
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            metavar="DIR",
            help="Folder of audio, may be repeated (one of shards for lm and reranker).",
            exists=True,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="RUN", help="Run folder: state, logs and the model."
        ),
    ],
    resume: Annotated[bool, typer.Option("--resume", help="Resume the run in --output.")] = False,
    init: Annotated[
        str | None,
        typer.Option(
            "--init", metavar="NAME_OR_PATH", help="Start from the weights of this model."
        ),
    ] = None,
    device: Annotated[
        options.Device | None,
        typer.Option("--device", help="Where to train, instead of the recipe's device."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated."),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", metavar="N", help="Stop cleanly after so long.", min=0),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="Folder for decoded copies of the music, 320 MB per hour; .bandtok-cache in each "
            "folder of audio if not given.",
            file_okay=False,
        ),
    ] = None,
    list_: Annotated[
        bool,
        typer.Option("--list", callback=_list, is_eager=True, help="List all recipes and exit."),
    ] = False,
    describe: Annotated[
        bool,
        typer.Option(
            "--describe",
            callback=_describe,
            help="Print every setting of the recipe with its default and meaning, and exit.",
        ),
    ] = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Train a network with a recipe on any folder of audio."""
    settings = _settings(set_ or [])
    if device is not None:
        settings["device"] = device.value
    from bandtok.training import run as runs

    with silent_codecs(), status_line(quiet) as show:

        def line(text: str, keep: bool) -> None:
            if keep and not quiet and sys.stderr.isatty():
                echo(text, err=True)
            else:
                show(text)

        result = runs.train(
            kind.value,
            recipe,
            data=data,
            out=out,
            resume=resume,
            init=init,
            settings=settings,
            max_minutes=max_minutes,
            cache=cache,
            report=runs.RunReport(
                preparing=lambda done, total: show(f"reading audio, {done} of {total} tracks"),
                line=line,
                warn=lambda line: echo(f"bandtok: {line}", err=True),
            ),
        )
    values = {"out": str(out), **dataclasses.asdict(result)}
    if json:
        print_json({"kind": kind.value, "recipe": recipe, **values})
    elif not quiet:
        ended = "finished" if result.finished else "stopped; go on with --resume"
        typer.echo(f"{out}: step {result.step}, {_note(result.validation)}, {ended}")


def _note(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in list(numbers.items())[:3])


def _settings(settings: list[str]) -> dict[str, str]:
    pairs = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"--set {setting}: expected KEY=VALUE")
        pairs[key.strip()] = value.strip()
    return pairs
