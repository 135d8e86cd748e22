"""`bandtok export`: a model's networks as ONNX graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandtok.cli import options
from bandtok.cli.console import print_json

Source = Annotated[
    str, typer.Argument(metavar="MODEL", help="Model or run folder, or a Hugging Face hub id.")
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Folder for the graphs with copies of config and weights; the model's own if not "
        "given.",
    ),
]


def export(
    model: Source,
    output: Folder = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Write a model's networks as ONNX graphs, which run without torch."""
    from bandtok.extras import require

    require("onnx", "export")
    from bandtok.export import export_model

    written = export_model(model, output)
    if json:
        print_json({"files": [str(path) for path in written]})
    elif not quiet:
        for path in written:
            typer.echo(path)
