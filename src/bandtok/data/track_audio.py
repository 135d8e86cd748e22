"""The audio files of a track: one stream of mono samples, and a key that changes with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bandtok.data.manifest import Track
from bandtok.errors import AudioError
from bandtok.signal.audio import stream_audio


def track_blocks(track: Track, root: Path, sample_rate: int) -> Iterator[np.ndarray]:
    """Yield a track as mono float32 blocks [n] at `sample_rate`, in bounded memory.

    Stems are summed and limited to [-1, 1]; shorter ones end in silence.

    Raises:
        AudioError: if a file is missing, unreadable or damaged.
    """
    streams = [stream_audio(path, sample_rate) for path in _files(track, root)]
    if len(streams) == 1:
        yield from (block[0] for block in streams[0])
        return
    held = [np.zeros(0, np.float32) for _ in streams]
    while True:
        for index, stream in enumerate(streams):
            while not held[index].size and (block := next(stream, None)) is not None:
                held[index] = block[0]
        present = [part for part in held if part.size]
        if not present:
            return
        length = min(part.size for part in present)
        total = np.sum([part[:length] for part in present], axis=0)
        yield np.clip(total, -1.0, 1.0)
        held = [part[length:] for part in held]


def content_key(track: Track, root: Path) -> str:
    """Return path, size in bytes and time of change (ns) of each of a track's files as text.

    Raises:
        AudioError: if one is missing.
    """
    parts = []
    for path, file in zip((track.path, *track.stems), _files(track, root), strict=True):
        try:
            found = file.stat()
        except OSError:
            raise AudioError(f"no such audio file: {os.fspath(file)!r}") from None
        parts.append(f"{path}:{found.st_size}:{found.st_mtime_ns}")
    return "|".join(parts)


def _files(track: Track, root: Path) -> list[Path]:
    return [root / path for path in (track.path, *track.stems)]
