"""`bandtok train`: a recipe and a folder of audio -> a run folder with a model."""

from __future__ import annotations

import importlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bandtok.cli import options
from bandtok.cli.console import print_json, progress_bars


class Kind(StrEnum):
    """What can be trained."""

    TOKENIZER = "tokenizer"
    VOCODER = "vocoder"
    LM = "lm"


def train(
    kind: Annotated[Kind, typer.Argument(help="What to train.", show_default=False)],
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="Name of a recipe.", show_default=False)
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="DIR", help="Folder of audio (or of shards, for lm).", exists=True
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="RUN", help="Run folder: state, logs and the model.")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the run in --out stopped.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated."),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", metavar="N", help="Stop cleanly after so long.", min=0),
    ] = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Train a network with a recipe on any folder of audio."""
    overrides = _overrides(set_ or [])
    run = importlib.import_module("bandtok.training.run")
    with progress_bars(quiet) as bars, bars.task(f"training {kind.value}") as report:
        run.train(
            kind=kind.value,
            recipe=recipe,
            data=data,
            out=out,
            resume=resume,
            overrides=overrides,
            max_minutes=max_minutes,
            progress=report,
        )
    if json:
        print_json({"kind": kind.value, "recipe": recipe, "out": str(out)})
    elif not quiet:
        typer.echo(f"{out}: trained {kind.value} with recipe {recipe}")


def _overrides(settings: list[str]) -> dict[str, str]:
    pairs = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"--set {setting}: expected KEY=VALUE")
        pairs[key.strip()] = value.strip()
    return pairs
