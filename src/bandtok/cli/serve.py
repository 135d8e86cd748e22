"""`bandtok serve`: the HTTP API and the web studio."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

import bandtok
from bandtok.cli import options
from bandtok.extras import missing

Host = Annotated[
    str, typer.Option("--host", help="Address to listen on; 127.0.0.1 is this machine only.")
]
Port = Annotated[int, typer.Option("--port", help="Port; 0 chooses a free one.", min=0, max=65535)]
QueueSize = Annotated[
    int, typer.Option("--queue-size", help="Requests that may wait while one runs.", min=1)
]
MaxDuration = Annotated[
    float,
    typer.Option("--max-duration", metavar="SECONDS", help="Longest music per request.", min=0.1),
]
MaxUpload = Annotated[int, typer.Option("--max-upload", metavar="MIB", help="Largest body.", min=1)]
TimeLimit = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", help="Longest work per request.", min=0.1)
]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8765,
    queue_size: QueueSize = 4,
    max_duration: MaxDuration = 120.0,
    max_upload: MaxUpload = 64,
    timeout: TimeLimit = 600.0,
    model: options.Model = None,
    device: options.ChosenDevice = options.Device.AUTO,
    backend: options.ChosenBackend = options.Backend.AUTO,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
) -> None:
    """Serve the HTTP API and the web studio."""
    try:
        from bandtok.server.app import create_app, serve
    except ModuleNotFoundError as error:
        raise missing(error, "serve") from None
    from bandtok.server.engine import Engine
    from bandtok.server.settings import MIB, ServerSettings

    settings = ServerSettings(
        queue_size=queue_size,
        max_upload_bytes=max_upload * MIB,
        max_duration_seconds=max_duration,
        job_timeout_seconds=timeout,
    )
    logging.basicConfig(format="bandtok: %(message)s")
    music_model = bandtok.MusicModel.from_pretrained(
        model, device=device.value, backend=backend.value, threads=threads
    )
    engine = Engine(music_model, model or "bandtok-default", settings.max_audio_seconds)

    def on_ready(url: str) -> None:
        if not quiet:
            typer.echo(f"The studio is at {url}, the API at {url}/docs. Stop it with Ctrl+C.")

    try:
        serve(create_app(engine, settings, host), host, port, on_ready)
    finally:
        engine.close()
