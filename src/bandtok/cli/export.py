"""`bandtok export`: a model's networks as ONNX graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandtok.cli import options
from bandtok.cli.console import print_json

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL...",
        help="Model or run folder, or a Hugging Face hub id. Of several, each network is taken "
        "from the last that has it.",
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder for the graphs with copies of config and weights; the model's own if not "
        "given. Required for several.",
    ),
]


def export(
    models: Sources,
    output: Folder = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Join models and runs into one folder with ONNX graphs, which run without torch."""
    if len(models) > 1 and output is None:
        raise typer.BadParameter(f"got {len(models)} models; name a folder with --output")
    from bandtok.extras import require

    require("onnx", "export")
    from bandtok.export import export_model, join_models

    written = join_models(models, output) if output else export_model(models[0])
    if json:
        print_json({"files": [str(path) for path in written]})
    elif not quiet:
        for path in written:
            typer.echo(path)
