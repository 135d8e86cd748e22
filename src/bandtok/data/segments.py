"""Attributes of a stretch of music: words by kind with confidences, and a few numbers.

    CORPUS/attributes.jsonl   one object a line: a track's path and its segments

Knows neither where the knowledge comes from nor how it is put into sentences.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bandtok.errors import DataError
from bandtok.tokens.atomic import write_text

_RENAMED = {"metre": "meter"}  # in files of corpora made before version 0.1.0
ATTRIBUTES_NAME = "attributes.jsonl"
KINDS = (
    "style",
    "instrument",
    "feature",
    "texture",
    "mood",
    "tempo",
    "drums",
    "brightness",
    "density",
    "articulation",
    "voice",
    "room",
)
TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One stretch of a track.

    Attributes:
        start_seconds, end_seconds: in the track.
        words: kind (one of KINDS) -> word -> how sure, above 0 and at most 1.
        bpm: beats per minute, None if not known; bpm_weight: how sure.
        beat_seconds: when one of its beats is, in the track; None if not known.
        key: such as "A minor", "" if not known; key_weight: how sure.
        meter: "4/4", "3/4", "6/8"; "" if not known.
        loudness_db: root mean square in dB below full scale, None if not known.
    """

    start_seconds: float
    end_seconds: float
    words: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    bpm: float | None = None
    bpm_weight: float = 0.0
    beat_seconds: float | None = None
    key: str = ""
    key_weight: float = 0.0
    meter: str = ""
    loudness_db: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds < self.end_seconds:
            raise DataError(
                f"got a segment from {self.start_seconds} to {self.end_seconds} s; "
                "expected a start of 0 or more and a later end"
            )
        unknown = sorted(set(self.words) - set(KINDS))
        if unknown:
            raise DataError(f"got kind {unknown[0]!r} of words; expected one of {', '.join(KINDS)}")
        weights = [weight for words in self.words.values() for weight in words.values()]
        if any(not 0 < weight <= 1 for weight in weights):
            raise DataError(f"got weights {weights}; expected each above 0 and at most 1")


def transposed_key(key: str, semitones: int) -> str:
    """Return a key such as "A minor" that many semitones higher.

    Raises:
        DataError: if it is not a key.
    """
    tonic, _, mode = key.partition(" ")
    if tonic not in TONICS:
        raise DataError(f"got key {key!r}; expected one such as 'A minor' or 'Eb major'")
    return f"{TONICS[(TONICS.index(tonic) + semitones) % 12]} {mode}"


def segment_line(path: str, segments: Sequence[Segment], made_from: str = "") -> str:
    """Return the line of a track for an attributes file; `made_from`: see `Described`."""
    content = {"path": path, "segments": [_compact(segment) for segment in segments]}
    if made_from:
        content["made_from"] = made_from
    return json.dumps(content, ensure_ascii=False) + "\n"


def segment_from(content: Mapping[str, Any]) -> Segment:
    """Read a segment back; fields that are not known are left out.

    Raises:
        DataError, TypeError, ValueError: if it is not one.
    """
    names = {field.name for field in dataclasses.fields(Segment)}
    renamed = {_RENAMED.get(name, name): value for name, value in content.items()}
    return Segment(**{name: value for name, value in renamed.items() if name in names})


def segment_content(segment: Segment) -> dict[str, Any]:
    """Return a segment as plain data, without what is not known."""
    return _compact(segment)


@dataclass(frozen=True, kw_only=True)
class Described:
    """What an attributes file says of a track.

    Attributes:
        segments: in order.
        made_from: which files, of which size and age, were described and by what; "" for what did
            not come from listening, such as the ground truth of rendered music.
    """

    segments: list[Segment]
    made_from: str = ""


def load_attributes(folder: str | os.PathLike[str]) -> dict[str, Described]:
    """Return the attributes of each track by path; {} if nothing was described.

    Of several lines of a track the last counts. A damaged last line, left by a run that was
    stopped, is passed over.
    """
    file = Path(folder) / ATTRIBUTES_NAME
    if not file.exists():
        return {}
    known = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            content = json.loads(line)
            segments = [segment_from(one) for one in content["segments"]]
            known[content["path"]] = Described(
                segments=segments, made_from=str(content.get("made_from", ""))
            )
        except (ValueError, KeyError, TypeError):
            continue
    return known


def save_attributes(
    folder: str | os.PathLike[str], tracks: Iterable[tuple[str, Sequence[Segment]]]
) -> None:
    """Write the attributes file of a corpus whole, atomically."""
    text = "".join(segment_line(path, segments) for path, segments in tracks)
    write_text(Path(folder) / ATTRIBUTES_NAME, text)


def _compact(segment: Segment) -> dict[str, Any]:
    content = dataclasses.asdict(segment)
    defaults = {field.name: field.default for field in dataclasses.fields(Segment)}
    return {
        name: value
        for name, value in content.items()
        if value != defaults[name] and (name != "words" or value)
    }
