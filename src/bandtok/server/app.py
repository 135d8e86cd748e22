"""The application: routes, errors, the studio's files; and the server that runs it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

import bandtok
from bandtok.errors import BandTokError
from bandtok.server import openai, routes, sa3
from bandtok.server.engine import Engine
from bandtok.server.guard import Guard
from bandtok.server.jobs import Busy, JobQueue
from bandtok.server.service import Service, error_content, error_status
from bandtok.server.settings import ServerSettings

_LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_DESCRIPTION = """\
Music as a grid of tokens, frequency bands by time frames.

Errors are `{"error": {"type", "message"}}` in one line. 503: the queue is full, see `Retry-After`.
"""


def create_app(engine: Engine, settings: ServerSettings, host: str = "127.0.0.1") -> FastAPI:
    """Return the application over an engine, which it closes at the end.

    Args:
        engine: the model.
        settings: limits.
        host: the address it is served at; requests for other host names are refused, unless this
            is one of the wildcard addresses.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.service.queue.close()
        engine.close()

    app = FastAPI(
        title="BandTok",
        version=bandtok.__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = Service(engine, JobQueue(settings.queue_size), settings)
    app.state.sa3_sessions = sa3.Sessions()
    hosts = () if host in ("0.0.0.0", "::", "") else (*_LOCAL_HOSTS, host)
    app.add_middleware(Guard, hosts=hosts, max_bytes=settings.max_upload_bytes)
    app.add_exception_handler(BandTokError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_error)
    for router in (routes.router, openai.router, sa3.router):
        app.include_router(router)
    _add_studio(app)
    return app


def serve(app: FastAPI, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until the process is interrupted or terminated.

    Args:
        app: the application.
        host, port: address to listen on; port 0 chooses a free one.
        on_ready: called with the URL.

    Raises:
        OSError: if the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server_socket = socket.create_server((host, port), family=family, backlog=128)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{server_socket.getsockname()[1]}"
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=10, lifespan="on"
    )
    _Server(config, lambda: on_ready(url), app.state.service.queue).run(sockets=[server_socket])


class _Server(uvicorn.Server):
    """Says when it is ready, and cancels jobs first when it stops, so that their requests end."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], queue: JobQueue
    ) -> None:
        super().__init__(config)
        self._on_ready, self._queue = on_ready, queue

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._queue.stop()
        await super().shutdown(sockets)


def _add_studio(app: FastAPI) -> None:
    """Add a route for each file of the studio, read once."""
    folder = resources.files("bandtok.server") / "studio"
    for file in folder.iterdir():
        kind = _TYPES.get(f".{file.name.rpartition('.')[2]}")
        if kind:
            address = {"index.html": "/", "api.html": "/docs"}.get(file.name, f"/{file.name}")
            app.add_api_route(address, _file(file.read_bytes(), kind), include_in_schema=False)


def _file(content: bytes, kind: str) -> Callable[[], Response]:
    def send() -> Response:
        return Response(content, media_type=f"{kind}; charset=utf-8")

    return send


async def _on_error(request: Request, error: Exception) -> Response:
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, Busy) else None
    return JSONResponse(error_content(error), error_status(error), headers)


async def _on_invalid(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    message = f"got {where} {first.get('input')!r:.60}: {first['msg']}"
    content = {"error": {"type": "ConfigError", "message": " ".join(message.split())}}
    return JSONResponse(content, 422)
