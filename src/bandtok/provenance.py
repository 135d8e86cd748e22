"""How synthetic music is marked: a record in token files and in the tags of audio files.

    {"digitalSourceType": ..., "software": ..., "model": ..., "operation": ..., "seed": ...}

In token files it is `extra.provenance`; in audio files it is JSON in the comment (INFO of WAV,
Vorbis comment of FLAC and OGG, ID3 of MP3). Prompts are kept as a hash unless requested in clear.

Source of the term: IPTC NewsCodes, digital source type "trained algorithmic media".
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Mapping
from typing import Any

from bandtok import __version__

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
KEY = "provenance"
"""Key of `TokenGrid.extra`."""
MAX_BYTES = 1 << 14

Provenance = Mapping[str, Any]


def record(
    operation: str,
    *,
    model: str,
    prompt: str,
    seed: int,
    settings: Mapping[str, object],
    source: Provenance | None = None,
) -> dict[str, Any]:
    """Return the record of generated or edited music, at most `MAX_BYTES` of JSON.

    Args:
        operation: "generate", "continue" or "edit".
        model: name of the model.
        prompt: kept as its SHA-256; an empty one is left out. See `with_prompt`.
        seed: of the random numbers.
        settings: what else decided the result; JSON values.
        source: record of the music that was continued or edited; left out if it is too large.
    """
    made: dict[str, Any] = {
        "digitalSourceType": SOURCE_TYPE,
        "software": f"BandTok {__version__}",
        "model": model,
        "operation": operation,
    }
    if prompt:
        made["prompt_sha256"] = hashlib.sha256(prompt.encode()).hexdigest()
    made |= {"seed": seed, "settings": dict(settings)}
    if source is not None:
        made["source"] = dict(source)
        if _size(made) > MAX_BYTES:
            del made["source"]
    return made


def with_prompt(made: Provenance, prompt: str) -> dict[str, Any]:
    """Return a record with its prompt in clear, if there is room for it."""
    shown = {key: value for key, value in made.items() if key != "prompt_sha256"}
    shown["prompt"] = prompt
    return shown if prompt and _size(shown) <= MAX_BYTES else dict(made)


def of_extra(extra: Mapping[str, object]) -> dict[str, Any] | None:
    """Return the record in a grid's `extra`, if there is one."""
    found = extra.get(KEY)
    return found if isinstance(found, dict) and "digitalSourceType" in found else None


def to_comment(provenance: Provenance) -> str:
    """Return the comment that marks an audio file."""
    return json.dumps(provenance, separators=(",", ":"))


def from_comment(comment: str) -> dict[str, Any] | None:
    """Return the record in an audio file's comment, if there is one."""
    if not comment.startswith("{") or len(comment) > MAX_BYTES:
        return None
    try:
        found = json.loads(comment)
    except (ValueError, RecursionError):
        return None
    return of_extra({KEY: found})


def info_chunk(provenance: Provenance) -> bytes:
    """Return the chunk that marks a WAV file which is written without libsndfile."""
    fields = ((b"ISFT", str(provenance.get("software"))), (b"ICMT", to_comment(provenance)))
    content = b"INFO"
    for name, text in fields:
        value = text.encode("ascii", "replace") + b"\0"
        content += struct.pack("<4sI", name, len(value)) + value + b"\0" * (len(value) % 2)
    return struct.pack("<4sI", b"LIST", len(content)) + content


def mark_wav(path: str | os.PathLike[str], provenance: Provenance) -> None:
    """Append the chunk to a finished WAV file."""
    with open(path, "r+b") as file:
        if file.seek(0, os.SEEK_END) % 2:
            file.write(b"\0")
        file.write(info_chunk(provenance))
        size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", size))


def _size(made: Provenance) -> int:
    return len(to_comment(made))
