"""Token shards, the training data of language models: codes of tracks with their attributes.

    OUT/codes/<key>.npy   uint16 [bands, frames], one for each track and variant of it
    OUT/index.json        the tokenizer's sizes, rates and fingerprint, one entry for each shard,
    and the
                          segments of each track

A file is there whole or not at all. `bandtok.data.tokenize` writes them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bandtok.data.segments import Segment, segment_content, segment_from
from bandtok.errors import DataError
from bandtok.tokens.atomic import write_text
from bandtok.tokens.grid import TokenGrid

INDEX_NAME = "index.json"
CODES_FOLDER = "codes"
_FORMAT = 1


class AudioTokenizer(Protocol):
    """What encoding a corpus needs of a tokenizer."""

    def encode_samples(self, blocks: Iterable[np.ndarray], /) -> TokenGrid: ...


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """Which tokenizer the codes come from."""

    num_bands: int
    codebook_size: int
    sample_rate: int
    samples_per_frame: int
    fingerprint: str

    @property
    def frame_rate(self) -> float:
        """Token frames per second."""
        return self.sample_rate / self.samples_per_frame

    @classmethod
    def of(cls, tokenizer: AudioTokenizer) -> TokenizerSpec:
        """Ask a tokenizer by letting it encode a moment of silence."""
        grid = tokenizer.encode_samples([np.zeros(44_100, np.float32)])
        return cls(
            num_bands=grid.num_bands,
            codebook_size=grid.codebook_size,
            sample_rate=grid.sample_rate,
            samples_per_frame=grid.samples_per_frame,
            fingerprint=grid.fingerprint,
        )


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One track at one offset.

    Attributes:
        file: the codes, relative to the shard folder.
        path: the track, relative to its manifest.
        offset_samples: samples left out at the start of the track.
        num_frames: length.
        split, title, style, package: as in the manifest.
        gain_db, semitones: as in its `Variant`.
        frame_seconds: length of a frame, 0 in an index written before this was kept.
        start_seconds: how far into the (transposed) track the first frame begins.
        segments: attributes of each stretch of the track, in the track's own time, pitch and
            level.
    """

    file: str
    path: str
    offset_samples: int
    num_frames: int
    split: str
    title: str
    style: list[str]
    package: str
    gain_db: float = 0.0
    semitones: int = 0
    frame_seconds: float = 0.0
    start_seconds: float = 0.0
    segments: tuple[Segment, ...] = ()

    @property
    def speed(self) -> float:
        """Seconds of the track in a second of the shard."""
        return float(2.0 ** (self.semitones / 12))

    def seconds_at(self, frame: int) -> float:
        """Return where in the track a frame begins, in seconds."""
        return (self.start_seconds + frame * self.frame_seconds) * self.speed

    def segment_at(self, first_frame: int, num_frames: int) -> Segment | None:
        """Return the segment that shares the most time with a window, None if none does."""
        start, end = self.seconds_at(first_frame), self.seconds_at(first_frame + num_frames)

        def shared(segment: Segment) -> float:
            return min(end, segment.end_seconds) - max(start, segment.start_seconds)

        found = max(self.segments, key=shared, default=None)
        return found if found is not None and shared(found) > 0 else None

    def beat_at(self, first_frame: int, num_frames: int) -> tuple[float, float]:
        """Return (beats in a frame, beats passed at the first one) of a window; (0, 0) if unknown.

        Beats are counted from the one that its segment knows of.
        """
        segment = self.segment_at(first_frame, num_frames)
        if segment is None or not segment.bpm or segment.beat_seconds is None:
            return 0.0, 0.0
        beats_per_second = segment.bpm / 60.0
        passed = (self.seconds_at(first_frame) - segment.beat_seconds) * beats_per_second
        return self.frame_seconds * self.speed * beats_per_second, passed


class TokenCorpus:
    """A folder of token shards, codes memory-mapped.

    Args:
        folder: what `tokenize_corpus` wrote.

    Raises:
        DataError: if there is no usable index.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        try:
            content = json.loads((self.folder / INDEX_NAME).read_text(encoding="utf-8"))
            version = content["format"]
            self.tokenizer = TokenizerSpec(**content["tokenizer"])
            segments = {
                file: tuple(segment_from(one) for one in found)
                for file, found in content.get("segments", {}).items()
            }
            self.shards = [
                replace(Shard(**_known(Shard, entry)), segments=segments.get(entry["track"], ()))
                if "track" in entry
                else Shard(**_known(Shard, entry))
                for entry in content["shards"]
            ]
        except FileNotFoundError:
            raise DataError(
                f"{os.fspath(folder)!r} holds no {INDEX_NAME}; make shards with "
                "'bandtok data tokenize'"
            ) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"cannot read {os.fspath(self.folder / INDEX_NAME)!r}: {error!r}; "
                "run 'bandtok data tokenize' again"
            ) from None
        if version != _FORMAT:
            raise DataError(f"got shards of format {version}; expected {_FORMAT}; tokenize again")

    def split(self, name: str) -> list[Shard]:
        """Return the shards of one split."""
        return [shard for shard in self.shards if shard.split == name]

    def codes(self, shard: Shard) -> np.ndarray:
        """Return uint16 [bands, frames], memory-mapped.

        Raises:
            DataError: if the file is missing, damaged, or not what the index says.
        """
        codes = read_codes(self.folder / shard.file)
        expected = (self.tokenizer.num_bands, shard.num_frames)
        if codes is None or codes.shape != expected:
            raise DataError(
                f"shard {shard.file} is missing or damaged; expected uint16 {list(expected)}; "
                "run 'bandtok data tokenize' again"
            )
        return codes


def read_codes(path: Path) -> np.ndarray | None:
    """Return uint16 [bands, frames], memory-mapped; None if the file is missing or damaged."""
    try:
        codes: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return codes if codes.ndim == 2 and codes.dtype == np.uint16 else None


def write_index(folder: Path, spec: TokenizerSpec, shards: Sequence[Shard]) -> None:
    """Write an entry per shard; segments of a track once, under the file of its first shard."""
    segments: dict[str, list[dict[str, Any]]] = {}
    names: dict[int, str] = {}
    entries = []
    for shard in shards:
        entry = _entry(shard)
        if shard.segments:
            name = names.setdefault(id(shard.segments), shard.file)
            segments.setdefault(name, [segment_content(one) for one in shard.segments])
            entry["track"] = name
        entries.append(entry)
    content = {
        "format": _FORMAT,
        "tokenizer": asdict(spec),
        "shards": entries,
        "segments": segments,
    }
    write_text(folder / INDEX_NAME, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def _entry(shard: Shard) -> dict[str, Any]:
    return {one.name: getattr(shard, one.name) for one in fields(Shard) if one.name != "segments"}


def _known(kind: type[Shard], entry: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in entry.items() if name in names}
