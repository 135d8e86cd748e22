"""The HTTP contract of the Stable Audio 3 extension for Ableton Live, at the root of the server.

Jobs run in the background; the client polls for the audio, base64 of a WAV file normalized to a
peak of -1 dBFS. Settings that this model does not have (steps, loras, negative_prompt, ...) are
accepted and not used.

Source: the section "backend contract" of the README of betweentwomidnights/sa3-ableton-extension.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

import bandtok
from bandtok.errors import BandTokError, ConfigError
from bandtok.evaluation.prompts import named_prompts
from bandtok.server.jobs import Job
from bandtok.server.routes import service_of
from bandtok.server.schemas import Prompt
from bandtok.server.service import error_content, error_status

router = APIRouter(tags=["Stable Audio 3"])

_KEPT_JOBS, _KEPT_SECONDS = 8, 600.0
_PEAK = 10 ** (-1 / 20)
_FROM_STRENGTH = 0.99


class Sa3Request(BaseModel):
    """What the three POST routes hold."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    prompt: Prompt = ""
    seed: int = Field(-1, ge=-1, le=(1 << 63) - 1, description="-1 chooses one.")


class Sa3Generate(Sa3Request):
    """Body of `POST /generate`."""

    seconds: float | None = Field(None, gt=0)
    duration: float | None = Field(None, gt=0)


class Sa3Transform(Sa3Request):
    """Body of `POST /transform`: audio, and how much of it to regenerate."""

    audio_data: str = Field(description="Base64 of an audio file.")
    strength: float = Field(0.9, ge=0, le=1, description="1 replaces all of the audio.")


class Sa3Continue(Sa3Request):
    """Body of `POST /continue`."""

    audio_data: str = Field(description="Base64 of an audio file.")
    continuation_seconds: float = Field(gt=0)


class Sessions:
    """Jobs by session id; the finished ones are forgotten after a while."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[float, Job, int]] = {}

    def add(self, job: Job, seed: int) -> str:
        now = time.monotonic()
        ended = [key for key, (_, old, _) in self._jobs.items() if old.finished.is_set()]
        for key in ended:
            if now - self._jobs[key][0] > _KEPT_SECONDS or len(self._jobs) >= _KEPT_JOBS:
                del self._jobs[key]
        self._jobs[job.id] = (now, job, seed)
        return job.id

    def get(self, session: str) -> tuple[Job, int] | None:
        found = self._jobs.get(session)
        return found[1:] if found else None


@router.get("/loras")
async def loras() -> dict[str, Any]:
    """List no adapters."""
    return {"success": True, "loras": [], "model_loaded": True}


@router.get("/prompts")
async def prompts() -> dict[str, Any]:
    """Return prompts to choose from."""
    pool = {"version": 1, "dice": {"generic": [prompt.text for prompt in named_prompts("bundled")]}}
    return {"success": True, "missing_loras": [], "prompts": pool}


@router.post("/generate")
async def generate(request: Request, body: Sa3Generate) -> JSONResponse:
    """Generate in the background."""
    seconds = body.seconds or body.duration or 10.0

    def make(job: Job, seed: int) -> bandtok.Clip:
        engine = service_of(request).engine
        return engine.generate(job, body.prompt, seconds, [seed], {})[0]

    return _start(request, body, make, seconds)


@router.post("/transform")
async def transform(request: Request, body: Sa3Transform) -> JSONResponse:
    """Regenerate a part of the audio: every band, for the later part of each two seconds."""
    source = _decoded(body.audio_data)

    def make(job: Job, seed: int) -> bandtok.Clip:
        engine = service_of(request).engine
        seconds = engine.grid(job, source).seconds
        regions = _regions(seconds, body.strength)
        return engine.edit(job, body.prompt, regions, [seed], {}, source)[0]

    return _start(request, body, make)


@router.post("/continue")
async def continue_(request: Request, body: Sa3Continue) -> JSONResponse:
    """Continue the audio."""
    source = _decoded(body.audio_data)

    def make(job: Job, seed: int) -> bandtok.Clip:
        engine, seconds = service_of(request).engine, body.continuation_seconds
        return engine.generate(job, body.prompt, seconds, [seed], {}, source)[0]

    return _start(request, body, make, body.continuation_seconds)


@router.get("/poll_status/{session}")
async def poll_status(
    request: Request, session: Annotated[str, Field(max_length=64)]
) -> JSONResponse:
    """Report progress, and at the end the audio."""
    found = request.app.state.sa3_sessions.get(session)
    if found is None:
        return _failed("got an unknown session; it ended or never was", 404)
    job, seed = found
    status = {"done": "completed", "running": "generating", "queued": "queued"}
    content: dict[str, Any] = {
        "success": job.error is None,
        "generation_in_progress": not job.finished.is_set(),
        "status": status.get(job.state, "failed"),
        "progress": 100 if job.state == "done" else 99 * job.step // max(job.total_steps, 1),
        "step": job.step,
        "total_steps": job.total_steps,
        "queue_status": {"position": service_of(request).queue.position(job)},
        "meta": {"seed": seed},
    }
    if job.error is not None:
        content["error"] = error_content(job.error)["error"]["message"]
    elif job.state == "done":
        content["audio_data"] = job.result
    return JSONResponse(content)


def _start(
    request: Request,
    body: Sa3Request,
    make: Callable[[Job, int], bandtok.Clip],
    seconds: float = 1.0,
) -> JSONResponse:
    service = service_of(request)
    seed = secrets.randbelow(1 << 31) if body.seed < 0 else body.seed

    def work(job: Job) -> str:
        clip = make(job, seed)
        peak = float(abs(clip.audio.waveform).max(initial=0.0))
        if peak:
            audio = replace(clip.audio, waveform=clip.audio.waveform * (_PEAK / peak))
            clip = replace(clip, audio=audio)
        return base64.b64encode(service.engine.file(clip, "wav")).decode("ascii")

    try:
        service.check_duration(seconds)
        job = service.submit(work)
    except BandTokError as error:
        return _failed(str(error), error_status(error))
    session = request.app.state.sa3_sessions.add(job, seed)
    return JSONResponse({"success": True, "session_id": session, "seed": seed})


def _failed(message: str, status: int) -> JSONResponse:
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse({"success": False, "error": message}, status, headers)


def _regions(seconds: float, strength: float) -> list[str]:
    """Return what to regenerate: all, or the end of each two seconds, as much as `strength`."""
    if strength > _FROM_STRENGTH:
        return ["0-"]
    period = 2.0
    starts = [period * index for index in range(int(seconds // period) + 1)]
    spans = [(start + period * (1 - strength), start + period) for start in starts]
    return [f"{low:.3f}-{high:.3f}" for low, high in spans if low < seconds - 0.1] or ["0-"]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("got audio_data that is not base64; expected an audio file") from None
