"""A server with the tiny random model; one model for all tests."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

import bandtok
from bandtok.server.app import create_app
from bandtok.server.engine import Engine
from bandtok.server.jobs import Job
from bandtok.server.settings import ServerSettings


@pytest.fixture(scope="session")
def model() -> bandtok.MusicModel:
    return bandtok.MusicModel.from_pretrained("debug")


@pytest.fixture
def settings() -> ServerSettings:
    """Tests of limits override this."""
    return ServerSettings(max_upload_bytes=1 << 20, max_duration_seconds=8, max_audio_seconds=8)


@pytest.fixture
def app(model: bandtok.MusicModel, settings: ServerSettings) -> FastAPI:
    return create_app(Engine(model, "debug", settings.max_audio_seconds), settings)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


@pytest.fixture(scope="session")
def song() -> bytes:
    """Two seconds of a tone as a WAV file."""
    time = np.arange(88_200) / 44_100
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * 440 * time), 44_100, format="WAV")
    return file.getvalue()


def samples_of(content: bytes) -> np.ndarray:
    """Decode an audio file: float [samples]."""
    return soundfile.read(io.BytesIO(content), dtype="float32")[0]


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Parse server-sent events."""
    found = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n", 1)
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    """A real server on a free port."""
    config = uvicorn.Config(app, port=0, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


class Gate:
    """Holds the model until it is opened."""

    def __init__(self, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.opened, self.ended = threading.Event(), threading.Event(), 0
        engine = app.state.service.engine
        generate = engine.generate

        def held(job: Job, *arguments: Any, **keywords: Any) -> Any:
            self.entered.set()
            try:
                while not self.opened.wait(0.01):
                    job.check()
            finally:
                self.ended += 1
            return generate(job, *arguments, **keywords)

        monkeypatch.setattr(engine, "generate", held)


@pytest.fixture
def gate(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(app, monkeypatch)


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("waited in vain")
