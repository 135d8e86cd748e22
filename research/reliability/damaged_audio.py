"""Damage to audio files, most of it in their headers: small good files -> damaged ones, by number.

Everything follows from a seed. Knows nothing of the loader under test.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import soundfile

from research.reliability.mutations import HOSTILE_NUMBERS

_HEADER_BYTES = 128
_FORMATS = (
    ("wav", "WAV", "PCM_16"),
    ("wav", "WAV", "FLOAT"),
    ("wav", "WAVEX", "PCM_24"),
    ("wav", "WAV", "MS_ADPCM"),
    ("flac", "FLAC", "PCM_16"),
    ("ogg", "OGG", "VORBIS"),
    ("opus", "OGG", "OPUS"),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("aiff", "AIFF", "PCM_16"),
    ("au", "AU", "PCM_16"),
    ("caf", "CAF", "PCM_16"),
    ("w64", "W64", "PCM_16"),
)


@dataclass(frozen=True)
class AudioFile:
    """A file: its format, the suffix it goes by, its bytes, and what was done to it."""

    format: str
    suffix: str
    data: bytes
    damage: str = "none"


def good_files() -> list[AudioFile]:
    """Return small good files of every format, mono and stereo."""
    files = []
    for suffix, container, subtype in _FORMATS:
        for channels in (1, 2):
            rate = 48_000 if subtype == "OPUS" else 44_100
            noise = np.random.default_rng(channels).normal(0, 0.1, (6000, channels))
            memory = io.BytesIO()
            soundfile.write(memory, noise, rate, subtype, format=container)
            files.append(AudioFile(f"{container} {subtype}", suffix, memory.getvalue()))
    return files


def damaged_file(files: Sequence[AudioFile], seed: int, index: int) -> AudioFile:
    """Return damaged file number `index` of this seed."""
    rng = random.Random(f"audio {seed} {index}")
    file = files[index % len(files)]
    damage = rng.choice(list(_DAMAGES))
    data = _DAMAGES[damage](file.data, rng)
    if rng.random() < 0.2:
        data = _DAMAGES["bytes of the header"](data or b"\0", rng)
    suffix = rng.choice(files).suffix if rng.random() < 0.1 else file.suffix
    if damage == "two files spliced":
        other = rng.choice(files).data
        data = data + other[rng.randrange(len(other)) :]
    return AudioFile(file.format, suffix, data, damage)


def _header_bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        changed[rng.randrange(min(len(data), _HEADER_BYTES))] = rng.randrange(256)
    return bytes(changed)


def _header_bit(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    changed[rng.randrange(min(len(data), _HEADER_BYTES))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _header_number(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    size = rng.choice((2, 4, 8))
    place = rng.randrange(min(len(data), _HEADER_BYTES) - size)
    number = rng.choice(HOSTILE_NUMBERS) % 2 ** (8 * size)
    changed[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))
    return bytes(changed)


def _anywhere(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 5, 50))):
        changed[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(rng.choice((_HEADER_BYTES, len(data))))]


def _middle(data: bytes, rng: random.Random) -> bytes:
    limit = rng.choice((_HEADER_BYTES, len(data)))
    start, stop = sorted(rng.sample(range(min(limit, len(data)) + 1), 2))
    return data[:start] + data[start:stop] * rng.choice((0, 2, 5)) + data[stop:]


def _noise(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice((4, 12, 40))] + rng.randbytes(rng.randrange(3000))


_DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes of the header": _header_bytes,
    "a bit of the header": _header_bit,
    "a number of the header": _header_number,
    "bytes anywhere": _anywhere,
    "cut": _cut,
    "a stretch repeated or gone": _middle,
    "two files spliced": _cut,
    "noise after the first bytes": _noise,
}
