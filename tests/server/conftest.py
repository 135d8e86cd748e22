"""A server with the tiny random model; one model for all tests."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile

fastapi = pytest.importorskip("fastapi", reason="needs bandtok[serve]")

from fastapi import FastAPI  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402

import bandtok  # noqa: E402
from bandtok.server.app import create_app  # noqa: E402
from bandtok.server.engine import Engine  # noqa: E402
from bandtok.server.settings import ServerSettings  # noqa: E402


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
