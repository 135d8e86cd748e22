"""OpenAI's speech API, in which several music servers offer music: the prompt is the `input`."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bandtok.api.generation_config import DEFAULT_DURATION_SECONDS
from bandtok.errors import ConfigError
from bandtok.server.engine import FORMATS
from bandtok.server.jobs import Job
from bandtok.server.routes import service_of
from bandtok.server.schemas import SpeechRequest

router = APIRouter(tags=["OpenAI"])


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """List the one model."""
    name = service_of(request).engine.name
    model = {"id": name, "object": "model", "created": 0, "owned_by": "bandtok"}
    return {"object": "list", "data": [model]}


@router.post("/v1/audio/speech")
async def speech(request: Request, body: SpeechRequest) -> Response:
    """Generate music from the prompt `input`."""
    service = service_of(request)
    suffix = body.response_format
    if suffix not in FORMATS:
        raise ConfigError(f"got response_format {suffix!r}; expected mp3, flac, wav or ogg")
    duration = body.duration or DEFAULT_DURATION_SECONDS
    service.check_duration(duration)
    seed = secrets.randbelow(1 << 31) if body.seed is None else body.seed

    def make(job: Job) -> Any:
        return service.engine.generate(job, body.input, duration, [seed], {})

    return await service.respond(request, make, suffix, body.timeout, seeds=[seed])
