"""Sound of a clip while it is being generated, about a second after its first tokens.

Tokens are decoded as soon as there are enough of them, with the frames before them and the next few
as context, so the sound differs a little from the finished clip's, which replaces it.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

import bandtok
from bandtok.server.jobs import Job
from bandtok.signal.loudness import (
    MAX_STREAM_GAIN_DB,
    MAX_TRUE_PEAK_DBFS,
    integrated_loudness,
)
from bandtok.signal.true_peak import Limiter

_CHUNK_FRAMES, _CONTEXT_FRAMES, _HELD_FRAMES = 11, 16, 4
_FADE_SAMPLES = 1024


class Preview:
    """Collects columns of codes and emits the job's events `column` and `audio`.

    `audio` holds 16-bit samples (little endian, base64) that follow those of the event before.

    Args:
        tokenizer: decodes.
        job: emits the events.
        loudness: target of the finished clip in LUFS; the first chunk settles the gain.
        skip: frames at the beginning that the client has already.
    """

    def __init__(
        self, tokenizer: bandtok.Tokenizer, job: Job, loudness: float | None, skip: int
    ) -> None:
        self._tokenizer, self._job, self._loudness = tokenizer, job, loudness
        self._columns: list[np.ndarray] = []
        self._done = self._skip = skip
        self._gain: float | None = None
        self._tail = np.zeros((1, 0), np.float32)
        # Of samples alone: the limiter of true peaks holds half a second back.
        self._limiter = Limiter(tokenizer.sample_rate, 1, MAX_TRUE_PEAK_DBFS, between_samples=False)

    def add(self, column: Any) -> None:
        """Take the codes of one more frame, int [bands]."""
        codes = np.asarray(column)
        self._columns.append(codes)
        if len(self._columns) > self._skip:
            self._job.emit("column", {"codes": codes.tolist()})
        if len(self._columns) - self._done >= _CHUNK_FRAMES + _HELD_FRAMES:
            self._decode(len(self._columns) - _HELD_FRAMES)

    def finish(self) -> None:
        """Emit what is left."""
        if len(self._columns) > self._done:
            self._decode(len(self._columns))
        self._emit(self._limiter.finish())

    def _decode(self, end: int) -> None:
        """Decode frames from those done to before `end`, and keep the sound after it."""
        size = self._tokenizer.samples_per_frame
        begin = max(self._done - _CONTEXT_FRAMES, 0)
        codes = np.stack(self._columns[begin:], axis=1)
        waveform = np.asarray(self._tokenizer.decode_codes(codes[None].astype(np.int64)))[0]
        sound = waveform[:, (self._done - begin) * size :].copy()
        faded = min(_FADE_SAMPLES, self._tail.shape[1])
        ramp = np.linspace(0, 1, faded, dtype=np.float32)
        sound[:, :faded] = ramp * sound[:, :faded] + (1 - ramp) * self._tail[:, :faded]
        length = (end - self._done) * size
        self._tail = sound[:, length:]
        self._done = end
        self._emit(self._limiter.process(self._amplified(sound[:, :length])))

    def _amplified(self, sound: np.ndarray) -> np.ndarray:
        if self._loudness is None:
            return sound
        if self._gain is None:
            found = integrated_loudness(sound, self._tokenizer.sample_rate)
            if found == -np.inf:
                return sound
            self._gain = 10 ** (min(self._loudness - found, MAX_STREAM_GAIN_DB) / 20)
        return (sound * np.float32(self._gain)).astype(np.float32)

    def _emit(self, sound: np.ndarray) -> None:
        if not sound.shape[1]:
            return
        samples = np.round(sound[0].clip(-1, 1) * 32767).astype("<i2")
        data = base64.b64encode(samples.tobytes()).decode("ascii")
        self._job.emit("audio", {"samples": data, "sample_rate": self._tokenizer.sample_rate})
