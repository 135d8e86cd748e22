"""What is refused before a route sees it: other sites' pages, foreign host names, large bodies."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    b"content-security-policy": b"default-src 'self'; img-src 'self' blob: data:; "
    b"media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}


class TooLarge(HTTPException):
    """The body exceeds the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"got a body of more than {limit} bytes; expected at most that many")


class Guard:
    """ASGI middleware. There is no CORS: only pages of this server may use it.

    A page of another site can send requests to a server on this machine, and can make a name of
    its own point to it; `Origin` and `Host` give both away.

    Args:
        app: the application.
        hosts: host names of this server; empty for any.
        max_bytes: greatest size of a body.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], max_bytes: int) -> None:
        self.app, self._hosts, self._max_bytes = app, frozenset(hosts), max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(headers)
        if refusal:
            status, message = refusal
            content = {"error": {"type": "Refused", "message": message}}
            await JSONResponse(content, status)(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise TooLarge(self._max_bytes)
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS.items()]
            await send(message)

        await self.app(scope, limited, with_headers)

    def _refusal(self, headers: dict[bytes, str]) -> tuple[int, str] | None:
        host = headers.get(b"host", "")
        if self._hosts and (urlsplit(f"//{host}").hostname or "") not in self._hosts:
            return 403, f"got the host {host!r:.80}; expected {', '.join(sorted(self._hosts))}"
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return 403, f"got a request from a page of {origin!r:.80}; expected a page of {host!r}"
        length = headers.get(b"content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > self._max_bytes:
            return 413, str(TooLarge(self._max_bytes).detail)
        return None
