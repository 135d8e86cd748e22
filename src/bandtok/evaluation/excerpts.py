"""Which parts of a corpus are listened to, and their samples.

    tracks -> excerpts (the same on every run) -> mono Audio

Knows nothing of tokens or measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandtok.data.manifest import Track
from bandtok.errors import AudioError, ConfigError
from bandtok.signal.audio import Audio, probe_audio, stream_audio


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A part of a track, in seconds."""

    track: Track
    start_seconds: float
    seconds: float


def choose_excerpts(
    tracks: Sequence[Track], seconds: float = 10.0, per_track: int = 1
) -> list[Excerpt]:
    """Place excerpts evenly: one in the middle, two at a quarter and three quarters, and so on.

    A track that is shorter than an excerpt is taken whole, once.

    Raises:
        ConfigError: if `seconds` or `per_track` is not positive.
    """
    if seconds <= 0 or per_track < 1:
        raise ConfigError(
            f"got excerpts of {seconds} s, {per_track} a track; expected both to be positive"
        )
    excerpts = []
    for track in tracks:
        room = track.seconds - seconds
        count = per_track if room > 0 else 1
        excerpts += [
            Excerpt(
                track=track,
                start_seconds=round(max(room, 0.0) * (index + 0.5) / count, 3),
                seconds=min(seconds, track.seconds),
            )
            for index in range(count)
        ]
    return excerpts


def spread(items: Sequence[object], count: int) -> list[int]:
    """Return the indices of `count` items (or all) spread evenly over the list."""
    count = min(max(count, 0), len(items))
    return [int((index + 0.5) * len(items) / count) for index in range(count)]


def load_excerpt(excerpt: Excerpt, folder: Path, sample_rate: int) -> Audio:
    """Read one excerpt as mono at `sample_rate`; stems are summed.

    Raises:
        AudioError: if a file cannot be read or holds nothing there.
    """
    length = round(excerpt.seconds * sample_rate)
    mix = np.zeros(length, np.float32)
    reached = 0
    for path in (excerpt.track.path, *excerpt.track.stems):
        part = _read(folder / path, excerpt.start_seconds, length, sample_rate)
        mix[: len(part)] += part
        reached = max(reached, len(part))
    if not reached:
        raise AudioError(f"{excerpt.track.path!r} ends before {excerpt.start_seconds:.1f} s")
    return Audio(mix[None, :reached], sample_rate)


def load_track(track: Track, folder: Path, sample_rate: int) -> Audio:
    """Read a whole track as mono at `sample_rate`; stems are summed."""
    seconds = max(probe_audio(folder / path).seconds for path in (track.path, *track.stems))
    excerpt = Excerpt(track=track, start_seconds=0.0, seconds=seconds)
    return load_excerpt(excerpt, folder, sample_rate)


def _read(path: Path, start_seconds: float, length: int, sample_rate: int) -> np.ndarray:
    info = probe_audio(path)
    start = min(round(start_seconds * info.sample_rate), info.samples)
    blocks: list[np.ndarray] = []
    missing = length
    for block in stream_audio(path, sample_rate, mono=True, start=start):
        blocks.append(block[0, :missing])
        missing -= len(blocks[-1])
        if missing <= 0:
            break
    return np.concatenate([np.zeros(0, np.float32), *blocks])
