"""Sound while a clip is generated, compared with the finished clip."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

import bandtok
from bandtok.server.jobs import Event, Job
from bandtok.server.preview import Preview

EXAMPLE = Path(__file__).parents[2] / "examples" / "audio" / "greece.flac"


def test_the_preview_is_close_to_the_finished_sound() -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained()
    grid = tokenizer.encode(EXAMPLE).cut(0, 6)
    events: list[Event] = []
    job = Job(lambda _: None, 1, 1)
    job._subscribers.append(lambda event: events.append(event) if event else None)
    preview = Preview(tokenizer, job, None, skip=0)
    for column in grid.codes.T:
        preview.add(column)
    preview.finish()
    names = [event.name for event in events]
    assert names.count("column") == grid.num_frames
    assert names.index("audio") == 15, "the first sound comes with the fifteenth frame"
    sound = [base64.b64decode(one.data["samples"]) for one in events if one.name == "audio"]
    found = np.frombuffer(b"".join(sound), "<i2") / 32767
    expected = tokenizer.decode(grid).waveform[0]
    assert len(found) == grid.num_frames * 4096 >= len(expected)
    found = found[: len(expected)]
    error = found * (found @ expected) / (found @ found) - expected
    snr = 10 * np.log10((expected @ expected) / (error @ error))
    assert snr > 18
