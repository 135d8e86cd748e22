"""Sound while a clip is generated, compared with the finished clip."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import bandtok
from bandtok.server.jobs import Event, Job
from bandtok.server.preview import preview

EXAMPLE = Path(__file__).parents[2] / "examples" / "audio" / "greece.flac"


@pytest.mark.parametrize("skip_frames", [0, 31])
def test_the_preview_is_the_finished_sound(skip_frames: int) -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained()
    grid = tokenizer.encode(EXAMPLE).cut(0, 8)
    clip = bandtok.Clip(audio=tokenizer.decode(grid), grid=grid)
    events: list[Event] = []
    job = Job(lambda _: None, 1, 1)
    job._subscribers.append(lambda event: events.append(event) if event else None)
    sounded = threading.Event()

    def write(on_column: Callable[[np.ndarray], None]) -> bandtok.Clip:
        for number, column in enumerate(grid.codes.T):
            on_column(column)
            if number == (72 if skip_frames else 30):
                assert sounded.wait(timeout=60), "no sound before the end"
        return clip

    job._subscribers.append(
        lambda event: sounded.set() if event and event.name == "audio" else None
    )
    assert preview(tokenizer, job, write, None, skip_frames) is clip
    names = [event.name for event in events]
    assert names.count("column") == grid.num_frames - skip_frames
    sound = [base64.b64decode(one.data["samples"]) for one in events if one.name == "audio"]
    found = np.frombuffer(b"".join(sound), "<i2") / 32767
    expected = clip.audio.waveform[0, skip_frames * grid.samples_per_frame :]
    assert len(found) == len(expected)
    assert np.abs(found - expected).max() < 1e-4
