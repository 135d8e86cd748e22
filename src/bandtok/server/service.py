"""Requests as jobs: submitted, followed, canceled when the client disconnects, answered."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

import bandtok
from bandtok.errors import BandTokError, CheckpointError, ConfigError, MissingDependency
from bandtok.provenance import info_chunk, record
from bandtok.server.engine import FORMATS, Engine
from bandtok.server.jobs import Busy, Canceled, Event, Job, JobQueue, TimedOut
from bandtok.server.settings import ServerSettings

_POLL_SECONDS = 0.25
_CLIENT_CLOSED_REQUEST = 499
_STREAM_BYTES = 0xFFFF_FFFF  # of a WAV header whose length is not known

Make = Callable[[Job], Sequence[bandtok.Clip | bandtok.TokenGrid]]


@dataclass(frozen=True)
class Service:
    """The engine, its queue and the limits."""

    engine: Engine
    queue: JobQueue
    settings: ServerSettings

    def submit(self, work: Callable[[Job], Any], timeout: float | None = None) -> Job:
        """Queue work for the model; a request's own time-out can only shorten the limits.

        Raises:
            Busy: if the queue is full.
        """
        limits = self.settings
        job = Job(
            work,
            limits.queue_timeout_seconds,
            limits.job_timeout_seconds,
            limits.queue_timeout_seconds + limits.job_timeout_seconds
            if timeout is None
            else timeout,
        )
        return self.queue.submit(job)

    def check_duration(self, seconds: float) -> None:
        """Raise ConfigError if new music is to be longer than the limit."""
        limit = self.settings.max_duration_seconds
        if not 0 < seconds <= limit:
            raise ConfigError(
                f"got a duration of {seconds:g} s; expected more than 0 and at most {limit:g} s"
            )

    async def respond(
        self,
        request: Request,
        make: Make,
        suffix: str,
        timeout: float | None = None,
        *,
        seeds: Sequence[int] = (),
        stream: bool = False,
    ) -> Response:
        """Answer with what `make` makes.

        Args:
            request: canceled with its job when the client disconnects.
            make: called in the worker's thread.
            suffix: a format of `FORMATS`, "json" or "events".
            timeout: of this request, in seconds.
            seeds: one per clip, sent to the client.
            stream: send the sound of events `audio` as a WAV file of unknown length.
        """

        def work(job: Job) -> Any:
            clips = make(job)
            if suffix in FORMATS and not stream:
                return self.engine.file(clips[0], suffix)
            if suffix in FORMATS:
                return None
            sent = [{"seed": seed} for seed in seeds] or [{}]
            shown = [self.engine.json(clip) for clip in clips if isinstance(clip, bandtok.Clip)]
            return [values | clip for values, clip in zip(sent, shown, strict=True)]

        job = self.submit(work, timeout)
        if suffix == "events":
            return StreamingResponse(self._sent_events(request, job), media_type=EVENT_STREAM)
        if stream:
            mark = record("generate", model=self.engine.name, prompt="", seed=seeds[0], settings={})
            return await self._streamed(request, job, info_chunk(mark))
        result = await self.finished(request, job)
        if suffix == "json":
            return JSONResponse({"clips": result})
        headers = {"Content-Disposition": f'attachment; filename="bandtok.{suffix}"'}
        if seeds:
            headers["BandTok-Seed"] = str(seeds[0])
        return Response(result, media_type=FORMATS[suffix], headers=headers)

    async def finished(self, request: Request, job: Job) -> Any:
        """Return a job's result, or raise its error."""
        async for _ in self.follow(request, job):
            pass
        if job.error is not None:
            raise job.error
        return job.result

    async def follow(self, request: Request, job: Job) -> AsyncIterator[Event]:
        """Yield a job's events to its end; cancel it when the client has gone or time is over."""
        events, position = job.subscribe(), -1
        try:
            while True:
                if job.state == "queued" and (now := self.queue.position(job)) != position:
                    position = now
                    yield Event("queued", {"job": job.id, "position": position})
                try:
                    event = await asyncio.wait_for(events.get(), _POLL_SECONDS)
                except TimeoutError:
                    if await request.is_disconnected():
                        raise Canceled("the client went away") from None
                    job.check()
                    continue
                if event is None:
                    return
                yield event
        finally:
            if not job.finished.is_set():
                self.queue.cancel(job)

    async def _sent_events(self, request: Request, job: Job) -> AsyncIterator[bytes]:
        yield _sent(Event("job", {"job": job.id}))
        try:
            async for event in self.follow(request, job):
                yield _sent(event)
            if job.error is not None:
                raise job.error
            for clip in job.result:
                yield _sent(Event("clip", clip))
            yield _sent(Event("done", {}))
        except Exception as error:
            yield _sent(Event("error", error_content(error)["error"]))

    async def _streamed(self, request: Request, job: Job, mark: bytes) -> Response:
        """Wait for the first sound, so that errors before it have a status, then send on."""
        events = self.follow(request, job)
        async for event in events:
            if event.name == "audio":
                return StreamingResponse(_wav(event, events, mark), media_type=FORMATS["wav"])
        raise job.error or BandTokError("no sound was generated")


EVENT_STREAM = "text/event-stream"


async def _wav(first: Event, events: AsyncIterator[Event], mark: bytes) -> AsyncIterator[bytes]:
    rate = first.data["sample_rate"]
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", _STREAM_BYTES, b"WAVE", b"fmt ", 16, 1, 1, rate,
                       2 * rate, 2, 16)  # fmt: skip
    yield head + mark + struct.pack("<4sI", b"data", _STREAM_BYTES)
    yield base64.b64decode(first.data["samples"])
    async for event in events:
        if event.name == "audio":
            yield base64.b64decode(event.data["samples"])


def _sent(event: Event) -> bytes:
    return f"event: {event.name}\ndata: {json.dumps(event.data)}\n\n".encode()


def error_status(error: Exception) -> int:
    """Return the HTTP status for an error."""
    if isinstance(error, HTTPException):
        return error.status_code
    if isinstance(error, Busy):
        return 503
    if isinstance(error, TimedOut):
        return 408 if error.own else 504
    if isinstance(error, Canceled):
        return _CLIENT_CLOSED_REQUEST
    if isinstance(error, BandTokError) and not isinstance(
        error, CheckpointError | MissingDependency
    ):
        return 400
    return 500


def error_content(error: Exception) -> dict[str, dict[str, Any]]:
    """Return the body for an error: its class, and the line that the command line prints."""
    if isinstance(error, HTTPException):
        return {"error": {"type": type(error).__name__, "message": str(error.detail)}}
    known = isinstance(error, BandTokError)
    message = str(error) if known else "internal error; see the server's log"
    return {"error": {"type": type(error).__name__, "message": message}}
