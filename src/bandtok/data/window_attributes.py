"""Attributes of a window of token shards (style, instruments, tempo, key ...) with confidences.

Merges manifest and segments of a track, at the level, speed and pitch of the shard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bandtok.data.caption_templates import METERS, opposites_of
from bandtok.data.segments import Segment, transposed_key
from bandtok.data.shards import Shard

_UNTITLED = re.compile(r"(?:track|song|music|untitled|level|theme)?[\s\d.#-]*", re.IGNORECASE)
_SOFT_DB, _LOUD_DB = -24.5, -14.5
_TITLE_WEIGHT, _STYLE_WEIGHT = 0.25, 0.8
_EDGE_WEIGHT, _CLEAR_WEIGHT, _WEIGHT_PER_DB = 0.5, 0.85, 0.12
# The purpose of a piece describes its sound poorly.
_PURPOSES = frozenset({"menu", "theme", "soundtrack", "credits", "boss", "victory", "title"})
_PURPOSE_WEIGHT = 0.25


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One property of the music: its kind (`segments.KINDS`, or loudness, bpm, key, meter,
    title), the word, and its confidence, above 0 and at most 1."""

    kind: str
    word: str
    weight: float


def window_attributes(shard: Shard, first_frame: int, num_frames: int) -> list[Attribute]:
    """Return the attributes of a window, surest first, without contradictions."""
    segment = shard.segment_at(first_frame, num_frames)
    attributes = [
        Attribute(kind="style", word=word, weight=_style_weight(word, place))
        for place, word in enumerate(shard.style)
    ]
    title = clean_title(shard.title)
    if title:
        attributes.append(Attribute(kind="title", word=title, weight=_TITLE_WEIGHT))
    if segment is not None:
        attributes = [*_segment_attributes(segment, shard), *attributes]
    return consistent(attributes)


def consistent(attributes: Iterable[Attribute]) -> list[Attribute]:
    """Return the attributes surest first, without those that contradict or repeat a surer one."""
    kept: list[Attribute] = []
    for item in sorted(attributes, key=lambda item: -item.weight):
        ruled_out = opposites_of(item.word)
        if all(other.word not in ruled_out and other.word != item.word for other in kept):
            kept.append(item)
    return kept


def clean_title(title: str) -> str:
    """Return the title in one line, or "" if it is a number ("Track 07")."""
    title = " ".join(title.replace("_", " ").split())
    return "" if _UNTITLED.fullmatch(title) else title


def _segment_attributes(segment: Segment, shard: Shard) -> list[Attribute]:
    """Return the attributes of a segment, at the level, speed and pitch of the shard."""
    attributes = [
        Attribute(kind=kind, word=word, weight=weight)
        for kind, words in segment.words.items()
        for word, weight in words.items()
    ]
    if segment.bpm:
        bpm = f"{segment.bpm * shard.speed:.0f} bpm"
        attributes.append(Attribute(kind="bpm", word=bpm, weight=segment.bpm_weight))
    if segment.key:
        key = transposed_key(segment.key, shard.semitones)
        attributes.append(Attribute(kind="key", word=f"in {key}", weight=segment.key_weight))
    if segment.meter in METERS:
        weight = 0.35 if segment.meter == "4/4" else 0.9
        attributes.append(Attribute(kind="meter", word=segment.meter, weight=weight))
    if segment.loudness_db is not None:
        attributes += _loudness(segment.loudness_db + shard.gain_db)
    return [item for item in attributes if item.weight > 0]


def _loudness(level_db: float) -> list[Attribute]:
    """Return "soft" or "loud", surer the clearer it is, or nothing in between."""
    for word, beyond in (("soft", _SOFT_DB - level_db), ("loud", level_db - _LOUD_DB)):
        if beyond > 0:
            weight = min(_CLEAR_WEIGHT, _EDGE_WEIGHT + _WEIGHT_PER_DB * beyond)
            return [Attribute(kind="loudness", word=word, weight=weight)]
    return []


def _style_weight(word: str, place: int) -> float:
    return _PURPOSE_WEIGHT if word in _PURPOSES else _STYLE_WEIGHT - 0.05 * min(place, 6)
