"""Tokens and sound of a clip while it is being generated, as events of its job."""

from __future__ import annotations

import base64
from collections.abc import Callable

import numpy as np

import bandtok
from bandtok.api.streaming import ClipStream, Write
from bandtok.server.jobs import Job


def preview(
    tokenizer: bandtok.Tokenizer,
    job: Job,
    write: Write,
    loudness_lufs: float | None,
    skip_frames: int = 0,
) -> bandtok.Clip:
    """Write a clip and emit the job's events `column` and `audio` meanwhile.

    `column` holds the codes of one more frame. `audio` holds 16-bit samples (little endian, base64)
    that follow those of the event before; their level follows the loudness so far, so the finished
    clip replaces them.

    Args:
        tokenizer: decodes.
        job: emits the events.
        write: generates the clip.
        loudness_lufs: of the finished clip, LUFS; None for the level that tokens decode to.
        skip_frames: frames at the beginning that the client has already.
    """
    columns = 0

    def shown(on_column: Callable[[np.ndarray], None]) -> bandtok.Clip:
        def show(column: np.ndarray) -> None:
            nonlocal columns
            columns += 1
            if columns > skip_frames:
                job.emit("column", {"codes": column.tolist()})
            on_column(column)

        return write(show)

    stream = ClipStream(tokenizer, shown, loudness_lufs, skip_frames=skip_frames, true_peaks=False)
    for block in stream:
        if block.shape[1]:
            samples = np.round(block[0].clip(-1, 1) * 32767).astype("<i2")
            data = base64.b64encode(samples.tobytes()).decode("ascii")
            job.emit("audio", {"samples": data, "sample_rate": tokenizer.sample_rate})
    return stream.clip
