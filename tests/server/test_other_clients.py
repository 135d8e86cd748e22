"""Clients written for other servers: OpenAI, and the Stable Audio 3 extension for Live."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.server.fixtures import samples_of


def test_models_and_speech(client: TestClient) -> None:
    listed = client.get("/v1/models").json()
    assert listed["data"][0]["id"] == "debug"
    body = {"model": "debug", "input": "calm piano", "voice": "alloy", "duration": 1}
    response = client.post("/v1/audio/speech", json=body)
    assert response.headers["content-type"] == "audio/mpeg"
    assert len(samples_of(response.content)) >= 44_100
    refused = client.post("/v1/audio/speech", json=body | {"response_format": "aac"})
    assert "expected mp3, flac, wav or ogg" in refused.json()["error"]["message"]


def test_the_openai_package(url: str) -> None:
    openai = pytest.importorskip("openai", reason="needs the package openai")
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    assert [model.id for model in client.models.list()] == ["debug"]
    response = client.audio.speech.create(
        model="debug",
        voice="alloy",
        input="calm piano",
        response_format="wav",
        extra_body={"duration": 1},
    )
    assert len(samples_of(response.content)) == 44_100
    with pytest.raises(openai.BadRequestError, match="duration"):
        client.audio.speech.create(
            model="debug", voice="alloy", input="x", extra_body={"duration": 100}
        )
    client.close()


class LiveExtension:
    """Does what the extension does: submits, polls every so often, decodes the audio."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.settings = {"steps": 8, "cfg_scale": 1.0, "shift": "full", "loras": [], "seed": -1}

    def run(self, path: str, **body: Any) -> bytes:
        answer = self.client.post(path, json=self.settings | body).json()
        assert answer["success"] is not False, answer
        while True:
            status = self.client.get(f"/poll_status/{answer['session_id']}").json()
            if status["status"] == "completed":
                assert isinstance(status["meta"]["seed"], int)
                return base64.b64decode(status["audio_data"])
            assert status["status"] in ("queued", "generating"), status
            assert 0 <= status["progress"] < 100
            time.sleep(0.02)


def test_the_live_extension(client: TestClient, song: bytes) -> None:
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/loras").json()["loras"] == []
    pools = client.get("/prompts", params={"lora": "a"}).json()["prompts"]["dice"]
    assert all(isinstance(prompt, str) and prompt for prompt in pools["generic"])
    extension, data = LiveExtension(client), base64.b64encode(song).decode()
    made = samples_of(extension.run("/generate", prompt="piano", duration=1.5, seconds=1.5))
    assert len(made) == 66_150
    assert max(abs(made)) == pytest.approx(10 ** (-1 / 20), abs=1e-3)
    transformed = extension.run("/transform", prompt="drums", audio_data=data, strength=0.5)
    assert len(samples_of(transformed)) == 88_200
    longer = extension.run("/continue", prompt="", audio_data=data, continuation_seconds=1)
    assert len(samples_of(longer)) > 88_200 + 40_000


def test_faults_of_the_live_extension(client: TestClient) -> None:
    answer = client.post("/generate", json={"prompt": "x", "seconds": 1000})
    assert answer.status_code == 400
    assert answer.json() == {
        "success": False,
        "error": "got a duration of 1000 s; expected more than 0 and at most 8 s",
    }
    assert client.get("/poll_status/none").status_code == 404
    answer = client.post("/transform", json={"prompt": "x", "audio_data": "ü"})
    assert "base64" in answer.json()["error"]["message"]
