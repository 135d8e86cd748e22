"""Inputs that nobody should give the program, each made in a folder of its own."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from bandtok.tokens.grid import TokenGrid
from research.reliability.make_conformance import example_codes, example_fields
from research.reliability.raw_token_file import raw_file

Maker = Callable[[Path], Path]


def wav(
    *,
    channels: int = 1,
    sample_rate: int = 44_100,
    bits: int = 16,
    tag: int = 1,
    data: bytes = bytes(2000),
    said: int | None = None,
) -> bytes:
    """Return a WAV file that claims what it is given.

    Args:
        channels, sample_rate, bits, tag: of the format chunk; tag 1 is PCM, 3 floats.
        data: the samples.
        said: size of the data chunk as declared; None is the truth.
    """
    size = len(data) if said is None else said
    width = channels * bits // 8
    format = struct.pack(
        "<HHIIHH", tag, channels, sample_rate, sample_rate * width % 2**32, width % 2**16, bits
    )
    chunks = b"fmt " + struct.pack("<I", 16) + format + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", min(size + 36, 2**32 - 1)) + b"WAVE" + chunks


def sound(container: str, subtype: str, channels: int = 1, sample_rate: int = 44_100) -> bytes:
    """Return half a second of quiet noise in a format of libsndfile."""
    noise = np.random.default_rng(0).normal(0, 0.05, (sample_rate // 2, channels))
    memory = io.BytesIO()
    soundfile.write(memory, noise, sample_rate, subtype, format=container)
    return memory.getvalue()


def floats(values: list[float], kind: str = "<f4") -> bytes:
    """Return a WAV file of exactly these float samples."""
    data = np.array(values * 500, kind).tobytes()
    return wav(tag=3, bits=8 * np.dtype(kind).itemsize, data=data)


def flac_with_total(total: int) -> bytes:
    """Return a good FLAC file whose header declares `total` samples (36 bits)."""
    data = bytearray(sound("FLAC", "PCM_16"))
    place = 4 + 4 + 10  # magic, block header, up to rate and size of samples
    packed = int.from_bytes(data[place : place + 8], "big")
    data[place : place + 8] = (packed >> 36 << 36 | total).to_bytes(8, "big")
    return bytes(data)


def archive(kind: str) -> bytes:
    """Return an archive with an archive with a sound in it."""
    memory, content = io.BytesIO(), sound("WAV", "PCM_16")
    if kind == "tar":
        with tarfile.open(fileobj=memory, mode="w:gz") as tar:
            entry = tarfile.TarInfo("a.wav")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        content = memory.getvalue()
        memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as zipped:
        zipped.writestr("inner.wav", content)
    return memory.getvalue()


def tokens(**changes: object) -> bytes:
    """Return a token file, by default one that the debug model could have made."""
    settings: dict[str, object] = {"bands": 16, "codebook_size": 4096, "frames": 4, **changes}
    bands, size, frames = (int(str(settings.pop(k))) for k in ("bands", "codebook_size", "frames"))
    fields = example_fields(bands, size, **settings)
    return raw_file(
        fields, example_codes(bands, frames, size), [frames] if frames else []
    ).to_bytes()


def file(name: str, content: bytes) -> Maker:
    """Return what makes a file of this content."""

    def make(home: Path) -> Path:
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return make


def link(name: str, target: str) -> Maker:
    """Return what makes a symbolic link."""

    def make(home: Path) -> Path:
        (home / name).symlink_to(target)
        return home / name

    return make


def pipe(name: str) -> Maker:
    """Return what makes a named pipe."""

    def make(home: Path) -> Path:
        os.mkfifo(home / name)
        return home / name

    return make


def folder(name: str, files: dict[str, bytes]) -> Maker:
    """Return what makes a folder with files."""

    def make(home: Path) -> Path:
        (home / name).mkdir()
        for inner, content in files.items():
            file(inner, content)(home / name)
        return home / name

    return make


def unreadable(name: str, content: bytes) -> Maker:
    """Return what makes a file that nobody may read."""

    def make(home: Path) -> Path:
        path = file(name, content)(home)
        path.chmod(0)
        return path

    return make


def nothing(name: str) -> Maker:
    """Return a maker that makes nothing: the path leads nowhere."""
    return lambda home: home / name


def debug_grid(home: Path) -> Path:
    """Write a token file that the debug model can decode."""
    path = home / "good.btk"
    TokenGrid(codes=np.array(example_codes(16, 4, 64)), codebook_size=64).save(path)
    return path
