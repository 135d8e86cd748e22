"""`bandtok mcp`: tools for assistants over the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import bandtok
from bandtok.cli import options
from bandtok.extras import missing

Folder = Annotated[
    Path,
    typer.Option(
        "--folder", help="Folder of the files that tools may read and write.", file_okay=False
    ),
]


def mcp(
    folder: Folder = Path("."),
    model: options.Model = None,
    device: options.ChosenDevice = options.Device.AUTO,
    backend: options.ChosenBackend = options.Backend.AUTO,
    threads: options.Threads = None,
) -> None:
    """Serve tools to assistants over the Model Context Protocol (standard input and output)."""
    try:
        from bandtok.server.mcp import create_server
    except ModuleNotFoundError as error:
        raise missing(error, "mcp") from None
    folder.mkdir(parents=True, exist_ok=True)
    music_model = bandtok.MusicModel.from_pretrained(
        model, device=device.value, backend=backend.value, threads=threads
    )
    create_server(music_model, folder).run("stdio")
