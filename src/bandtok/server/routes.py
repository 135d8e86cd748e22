"""The native routes. A piece (audio file or .btk) is the body; its settings are the query."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import JSONResponse, Response

import bandtok
from bandtok.server.jobs import Job
from bandtok.server.schemas import (
    CancelRequest,
    ContinueQuery,
    DecodeQuery,
    EditQuery,
    EncodeQuery,
    GenerateRequest,
    ReconstructQuery,
)
from bandtok.server.service import Service

router = APIRouter(tags=["music"])

_PIECE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An audio file, or tokens (.btk).",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def service_of(request: Request) -> Service:
    """Return the service of the application that got the request."""
    result: Service = request.app.state.service
    return result


@router.get("/health", tags=["server"])
async def health(request: Request) -> dict[str, Any]:
    """Report that the server runs; never waits for the model."""
    service = service_of(request)
    return {
        "status": "ok",
        "model": service.engine.name,
        "loaded": True,
        "busy": service.queue.busy,
        "waiting": service.queue.waiting,
        "queue_size": service.settings.queue_size,
    }


@router.get("/v1/info", tags=["server"])
async def info(request: Request) -> dict[str, Any]:
    """Describe the model, the defaults and the limits."""
    service = service_of(request)
    return {**service.engine.describe(), "limits": vars(service.settings)}


@router.post("/v1/generate")
async def generate(request: Request, body: Annotated[GenerateRequest, Body()]) -> Response:
    """Generate music from a prompt."""
    service, seeds = service_of(request), body.seeds()
    service.check_duration(body.longest_seconds())

    def make(job: Job) -> Any:
        clips = service.engine.generate(
            job, body.prompt, body.duration, seeds, body.overrides(), stream=body.stream
        )
        return _with_prompts(clips, body)

    return await service.respond(
        request,
        make,
        body.response_format,
        body.timeout,
        seeds=seeds,
        stream=body.stream and body.response_format == "wav",
    )


@router.post("/v1/continue", openapi_extra=_PIECE)
async def continue_(request: Request, query: Annotated[ContinueQuery, Query()]) -> Response:
    """Generate what follows a piece, or what precedes it; the clip begins with the piece."""
    service, seeds, source = service_of(request), query.seeds(), await request.body()
    service.check_duration(query.longest_seconds())

    def make(job: Job) -> Any:
        engine, given = service.engine, query.overrides()
        if query.side == "right":
            clips = engine.generate(
                job, query.prompt, query.duration, seeds, given, source, query.stream
            )
        else:
            prompt, seconds = query.prompt, query.duration
            clips = [engine.prepend(job, prompt, seconds, seed, given, source) for seed in seeds]
        return _with_prompts(clips, query)

    return await service.respond(
        request,
        make,
        query.response_format,
        query.timeout,
        seeds=seeds,
        stream=query.stream and query.response_format == "wav" and query.side == "right",
    )


@router.post("/v1/edit", openapi_extra=_PIECE)
async def edit(request: Request, query: Annotated[EditQuery, Query()]) -> Response:
    """Regenerate time-frequency regions of a piece; all other tokens stay."""
    service, seeds, source = service_of(request), query.seeds(), await request.body()

    def make(job: Job) -> Any:
        given = query.overrides()
        clips = service.engine.edit(job, query.prompt, query.region, seeds, given, source)
        return _with_prompts(clips, query)

    return await service.respond(request, make, query.response_format, query.timeout, seeds=seeds)


@router.post("/v1/encode", openapi_extra=_PIECE)
async def encode(request: Request, query: Annotated[EncodeQuery, Query()]) -> Response:
    """Encode audio as tokens; json and events also hold the reconstruction."""
    return await _reconstructed(request, query)


@router.post("/v1/reconstruct", openapi_extra=_PIECE)
async def reconstruct(request: Request, query: Annotated[ReconstructQuery, Query()]) -> Response:
    """Encode and decode audio."""
    return await _reconstructed(request, query)


@router.post("/v1/decode", openapi_extra=_PIECE)
async def decode(request: Request, query: Annotated[DecodeQuery, Query()]) -> Response:
    """Decode tokens (.btk) to audio."""
    service, source = service_of(request), await request.body()

    def make(job: Job) -> Any:
        return [service.engine.decode(job, source, query.loudness_lufs)]

    return await service.respond(request, make, query.response_format, query.timeout)


@router.post("/v1/cancel", tags=["server"])
async def cancel(request: Request, body: CancelRequest) -> JSONResponse:
    """Cancel a job that waits or runs; the same as closing its connection."""
    queue = service_of(request).queue
    job = queue.find(body.job)
    if job:
        queue.cancel(job)
    return JSONResponse({"canceled": job is not None})


def _with_prompts(
    clips: list[bandtok.Clip], body: GenerateRequest | ContinueQuery | EditQuery
) -> list[bandtok.Clip]:
    return [clip.with_prompt(body.prompt) for clip in clips] if body.store_prompt else clips


async def _reconstructed(request: Request, query: EncodeQuery | ReconstructQuery) -> Response:
    service, source = service_of(request), await request.body()

    def make(job: Job) -> Any:
        engine = service.engine
        tokens_only = query.response_format == "btk"
        return [(engine.grid if tokens_only else engine.reconstruct)(job, source)]

    return await service.respond(request, make, query.response_format, query.timeout)
