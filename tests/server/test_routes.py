"""The native routes, on the debug model."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.conftest import WriteTone
from tests.server.fixtures import events_of, samples_of

import bandtok
from bandtok.api.generation_config import CONFIG_FIELDS, EDIT_FIELDS
from bandtok.server.schemas import EditQuery, GenerateRequest


def grid_of(content: bytes, folder: Path) -> bandtok.TokenGrid:
    path = folder / "grid.btk"
    path.write_bytes(content)
    return bandtok.TokenGrid.load(path)


def post(client: TestClient, path: str, body: bytes, **query: object) -> bytes:
    response = client.post(path, content=body, params=query)  # type: ignore[arg-type]
    assert response.status_code == 200, response.text
    return response.content


def test_a_clip_is_the_one_that_python_generates(
    client: TestClient, model: bandtok.MusicModel
) -> None:
    body = {"prompt": "calm piano", "duration": 1.5, "seed": 3, "temperature": 0.8}
    response = client.post("/v1/generate", json=body)
    assert response.headers["content-type"] == "audio/wav"
    assert response.headers["bandtok-seed"] == "3"
    clip = model.generate("calm piano", 1.5, 3, temperature=0.8)
    assert np.allclose(samples_of(response.content), clip.audio.waveform[0], atol=1e-6)


def test_blank_fields_are_chosen_by_the_server(client: TestClient) -> None:
    body = {"prompt": "", "duration": 0.5, "seed": None, "bpm": None, "top_k": None}
    seeds = [client.post("/v1/generate", json=body).headers["bandtok-seed"] for _ in range(2)]
    assert seeds[0] != seeds[1]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_formats(client: TestClient, suffix: str) -> None:
    body = {"duration": 1, "response_format": suffix}
    response = client.post("/v1/generate", json=body)
    assert len(samples_of(response.content)) >= 44_100
    assert suffix in response.headers["content-disposition"]


def test_encode_decode_and_reconstruct(
    client: TestClient, song: bytes, model: bandtok.MusicModel, tmp_path: Path
) -> None:
    tokens = post(client, "/v1/encode", song)
    grid = grid_of(tokens, tmp_path)
    (tmp_path / "song.wav").write_bytes(song)
    expected = model.tokenizer.encode(tmp_path / "song.wav")
    assert np.array_equal(grid.codes, expected.codes)
    decoded = post(client, "/v1/decode", tokens, response_format="flac")
    assert decoded[:4] == b"fLaC"
    assert np.array_equal(
        samples_of(post(client, "/v1/reconstruct", song)),
        samples_of(post(client, "/v1/decode", tokens)),
    )
    quiet = samples_of(post(client, "/v1/decode", tokens, loudness_lufs=-40))
    assert abs(quiet).max() < 0.5 * abs(samples_of(decoded)).max()


def test_an_edit_keeps_every_token_outside_the_region(
    client: TestClient, song: bytes, tmp_path: Path
) -> None:
    tokens = post(client, "/v1/encode", song)
    query = {"region": ["0.5-1,2000-6000"], "prompt": "drums", "seed": 1, "response_format": "btk"}
    before, after = (
        grid_of(tokens, tmp_path),
        grid_of(post(client, "/v1/edit", tokens, **query), tmp_path),
    )
    changed = np.argwhere(before.codes != after.codes)
    assert len(changed)
    assert set(changed[:, 1]) <= set(range(5, 11))
    assert set(changed[:, 0]) <= set(range(6, 11))


def test_an_edit_keeps_the_level_outside_the_region(
    client: TestClient, write_tone: WriteTone, tmp_path: Path
) -> None:
    song = write_tone(tmp_path / "a.wav", seconds=6).read_bytes()
    tokens = post(client, "/v1/encode", song)
    query = {"region": "0-1", "prompt": "drums", "seed": 1, "loudness_lufs": -30}
    after = samples_of(post(client, "/v1/edit", tokens, **query))
    before = samples_of(post(client, "/v1/decode", tokens, loudness_lufs=-30))
    late = slice(4 * 44_100, None)
    assert not np.allclose(after[:44_100], before[:44_100], atol=1e-3)
    assert np.allclose(after[late], before[late], atol=1e-3)


def test_two_variants_of_an_edit(client: TestClient, song: bytes) -> None:
    query = {"region": "0-1", "num_samples": 2, "seed": 5, "response_format": "json"}
    clips = client.post("/v1/edit", content=song, params=query).json()["clips"]
    assert [clip["seed"] for clip in clips] == [5, 6]
    assert clips[0]["codes"] != clips[1]["codes"]


@pytest.mark.parametrize("side", ["right", "left"])
def test_continue_to_either_side(
    client: TestClient, song: bytes, tmp_path: Path, side: str
) -> None:
    query = {"duration": 1, "side": side, "response_format": "btk"}
    old = grid_of(post(client, "/v1/encode", song), tmp_path).codes
    new = grid_of(post(client, "/v1/continue", song, **query), tmp_path).codes
    if side == "right":
        assert new.shape[1] == -(-3 * 44_100 // 4096)
        old = old[:, :-2]  # the last frame is not full
    else:
        assert new.shape[1] - old.shape[1] == 11
    assert np.array_equal(new[:, : old.shape[1]] if side == "right" else new[:, 11:], old)


def test_events_are_steps_sound_and_the_clip(client: TestClient) -> None:
    body = {"duration": 5, "response_format": "events", "stream": True, "seed": 2}
    response = client.post("/v1/generate", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_of(response.text)
    names = [name for name, _ in events]
    assert names[0] == "job"
    assert names[-2:] == ["clip", "done"]
    steps = [data["step"] for name, data in events if name == "progress"]
    assert steps == sorted(steps)
    assert steps[-1] == 54
    clip = events[-2][1]
    assert len(clip["codes"]) == clip["num_bands"] * clip["num_frames"] == 16 * 54
    assert len(samples_of(base64.b64decode(clip["audio"]))) == 5 * 44_100
    sound = [base64.b64decode(data["samples"]) for name, data in events if name == "audio"]
    assert len(sound) > 2
    assert len(b"".join(sound)) == 2 * 5 * 44_100
    assert names.index("audio") < len(names) - 1 - names[::-1].index("progress")


def test_bars_and_loops(client: TestClient) -> None:
    for loop in (False, True):
        body = {"bars": 1, "loop": loop, "response_format": "json"}
        response = client.post("/v1/generate", json=body)
        assert response.status_code == 200, response.text
        # A model without beat conditioning has bars of 2 s, and a loop has whole frames.
        assert response.json()["clips"][0]["seconds"] == pytest.approx(2.0, rel=0.05 * loop)


def test_streamed_wav(client: TestClient) -> None:
    content = client.post("/v1/generate", json={"duration": 3, "stream": True}).content
    assert content[:4] == b"RIFF"
    assert struct.unpack_from("<I", content, 24) == (44_100,)
    head, _, data = content.partition(b"data\xff\xff\xff\xff")
    assert b"trainedAlgorithmicMedia" in head
    samples = np.frombuffer(data, "<i2")
    assert len(samples) == 3 * 44_100
    assert abs(samples).max() > 1000


@pytest.mark.parametrize(
    ("path", "body", "query", "message"),
    [
        ("/v1/encode", b"no audio", {}, "cannot read the upload as audio"),
        ("/v1/encode", b"", {}, "empty body"),
        ("/v1/decode", b"no tokens", {}, "expected tokens"),
        ("/v1/decode", b"\x89BTK\r\n\x1a\nbroken", {}, "the upload has 14 bytes"),
        ("/v1/edit", b"x", {"region": "3 to 4"}, "got region '3 to 4'"),
    ],
)
def test_faults_are_one_line(
    client: TestClient, path: str, body: bytes, query: dict[str, str], message: str
) -> None:
    response = client.post(path, content=body, params=query)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert message in error["message"]
    assert "\n" not in error["message"]
    assert "/" not in error["message"].replace("/v1", ""), "a path of the server"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"duration": 9}, 400, "got a duration of 9 s; expected more than 0 and at most 8 s"),
        ({"bpm": 1000}, 400, "got"),
        ({"bars": 3, "bpm": 60.0, "meter": "3/4"}, 400, "got a duration of 9 s"),
        ({"bars": 1, "meter": "6/8"}, 400, "got meter '6/8'"),
        ({"duration": 2, "loop": True, "stream": True}, 400, "got stream with loop"),
        ({"temperature": -1}, 422, "temperature"),
        ({"num_samples": 2}, 400, "expected 'json' or 'events'"),
        ({"tempo": 120}, 422, "got tempo 120"),
        ({"seed": -1}, 422, "seed"),
    ],
)
def test_wrong_settings(
    client: TestClient, body: dict[str, object], status: int, message: str
) -> None:
    response = client.post("/v1/generate", json=body)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]


def test_too_long_audio_is_refused(
    client: TestClient, write_tone: WriteTone, tmp_path: Path
) -> None:
    song = write_tone(tmp_path / "long.wav", seconds=9).read_bytes()
    response = client.post("/v1/encode", content=song)
    assert response.json()["error"]["message"] == "got 9 s; expected at most 8 s"


def test_nothing_is_left_behind(app: FastAPI, client: TestClient, song: bytes) -> None:
    folder = app.state.service.engine._folder
    post(client, "/v1/reconstruct", song)
    client.post("/v1/encode", content=b"no audio")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    client.__exit__()
    assert not folder.exists()


def test_every_setting_of_generation_is_offered() -> None:
    assert set(CONFIG_FIELDS) <= set(GenerateRequest.model_fields)
    assert set(EDIT_FIELDS) <= set(EditQuery.model_fields)


def test_info_describes_the_grid(client: TestClient) -> None:
    info = client.get("/v1/info").json()
    edges = info["band_edges_hz"]
    assert len(edges) == info["num_bands"] + 1
    assert edges == sorted(edges)
    assert info["limits"]["max_duration_seconds"] == 8


def test_music_is_marked_and_the_prompt_kept_if_asked(client: TestClient, tmp_path: Path) -> None:
    body = {"prompt": "calm piano", "duration": 0.5, "seed": 9, "response_format": "ogg"}
    path = tmp_path / "a.ogg"
    for more, key in (({}, "prompt_sha256"), ({"store_prompt": True}, "prompt")):
        path.write_bytes(client.post("/v1/generate", json=body | more).content)
        made = bandtok.Audio.load(path).provenance
        assert made is not None
        assert made["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
        assert made["seed"] == 9
        assert key in made
