"""A corpus of audio as token shards, and windows of them: what a music language model trains on.

    OUT/codes/<key>.npy   uint16 [bands, frames], one for each track and sub-frame offset
    OUT/index.json        the tokenizer's physics and fingerprint, and one entry for each shard

A file is there whole or not at all, and its name says what it was made from, so that a second run
does only what is missing. Knows a tokenizer only as something with `encode`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bandtok.atomic import replacing, write_text
from bandtok.audio import Audio, load_audio
from bandtok.data.manifest import Track, load_manifest, manifest_folder
from bandtok.errors import AudioError, DataError
from bandtok.grid import TokenGrid

INDEX_NAME = "index.json"
CODES_FOLDER = "codes"
_FORMAT = 1
Progress = Callable[[int, int], None]


class AudioTokenizer(Protocol):
    """What tokenising a corpus needs of a tokenizer."""

    def encode(self, audio: Audio, /) -> TokenGrid: ...


@dataclass(frozen=True, kw_only=True)
class TokenizerFacts:
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
    def of(cls, tokenizer: AudioTokenizer) -> TokenizerFacts:
        """Ask a tokenizer by letting it encode a moment of silence."""
        silence = Audio(waveform=np.zeros((1, 44_100), np.float32), sample_rate=44_100)
        grid = tokenizer.encode(silence)
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
    """

    file: str
    path: str
    offset_samples: int
    num_frames: int
    split: str
    title: str
    style: list[str]
    package: str


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
            self.tokenizer = TokenizerFacts(**content["tokenizer"])
            self.shards = [Shard(**_known(Shard, entry)) for entry in content["shards"]]
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
            raise DataError(f"got shards of format {version}; expected {_FORMAT}; tokenise again")

    def split(self, name: str) -> list[Shard]:
        """Return the shards of one split."""
        return [shard for shard in self.shards if shard.split == name]

    def codes(self, shard: Shard) -> np.ndarray:
        """Return uint16 [bands, frames], memory-mapped.

        Raises:
            DataError: if the file is missing, damaged, or not what the index says.
        """
        codes = _read_codes(self.folder / shard.file)
        expected = (self.tokenizer.num_bands, shard.num_frames)
        if codes is None or codes.shape != expected:
            raise DataError(
                f"shard {shard.file} is missing or damaged; expected uint16 {list(expected)}; "
                "run 'bandtok data tokenize' again"
            )
        return codes


def tokenize_corpus(
    manifest: str | os.PathLike[str],
    tokenizer: AudioTokenizer,
    out: str | os.PathLike[str],
    *,
    offsets_per_track: int = 1,
    splits: Sequence[str] = ("train", "valid", "test"),
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> TokenCorpus:
    """Write token shards for a corpus; shards that are there already are kept.

    Args:
        manifest: manifest file, or folder of audio.
        tokenizer: encodes mono audio into grids.
        out: folder of the shards.
        offsets_per_track: how many sub-frame offsets each training track is encoded at. Shifting a
            track by a part of a frame gives other tokens for the same music; other splits get
            offset 0 alone.
        splits: which splits to encode.
        progress: called with (tracks done, tracks in all).
        warn: called with one line for each track that cannot be read; such tracks are left out.

    Raises:
        DataError: if `offsets_per_track` is out of range, or not one track can be used.
    """
    facts = TokenizerFacts.of(tokenizer)
    spacing = facts.samples_per_frame
    if not 1 <= offsets_per_track <= spacing:
        raise DataError(f"got {offsets_per_track} offsets for each track; expected 1 to {spacing}")
    folder, root = Path(out), manifest_folder(manifest)
    (folder / CODES_FOLDER).mkdir(parents=True, exist_ok=True)
    tracks = load_manifest(manifest, splits)
    shards: list[Shard] = []
    for done, track in enumerate(tracks):
        count = offsets_per_track if track.split == "train" else 1
        offsets = [number * spacing // count for number in range(count)]
        try:
            shards += _tokenize_track(track, root, folder, tokenizer, facts, offsets)
        except AudioError as error:
            if warn:
                warn(f"left out {track.path}: {error}")
        if progress:
            progress(done + 1, len(tracks))
    if not shards:
        raise DataError(f"none of {len(tracks)} tracks of {os.fspath(manifest)!r} could be encoded")
    _write_index(folder, facts, shards)
    return TokenCorpus(folder)


def _tokenize_track(
    track: Track,
    root: Path,
    folder: Path,
    tokenizer: AudioTokenizer,
    facts: TokenizerFacts,
    offsets: Sequence[int],
) -> Iterator[Shard]:
    waveform: np.ndarray | None = None
    for offset in offsets:
        file = f"{CODES_FOLDER}/{_key(track, root, facts, offset)}.npy"
        codes = _read_codes(folder / file)
        if codes is None:
            if waveform is None:
                waveform = _load_track(track, root, facts.sample_rate)
            codes = _encode(tokenizer, waveform[:, offset:], facts)
            with replacing(folder / file) as temporary:
                np.save(temporary, codes)
        yield Shard(
            file=file,
            path=track.path,
            offset_samples=offset,
            num_frames=codes.shape[1],
            split=track.split,
            title=track.title,
            style=list(track.style),
            package=track.package,
        )


def _encode(tokenizer: AudioTokenizer, waveform: np.ndarray, facts: TokenizerFacts) -> np.ndarray:
    grid = tokenizer.encode(Audio(waveform=waveform, sample_rate=facts.sample_rate))
    if grid.codes.shape[0] != facts.num_bands:
        raise DataError(f"got a grid of {grid.codes.shape[0]} bands; expected {facts.num_bands}")
    # A last frame that is partly beyond the end of the track is no music: leave it out.
    whole = waveform.shape[1] // facts.samples_per_frame
    return grid.codes[:, :whole].astype(np.uint16)


def _load_track(track: Track, root: Path, sample_rate: int) -> np.ndarray:
    parts = [
        load_audio(root / path, sample_rate=sample_rate, mono=True).waveform
        for path in (track.path, *track.stems)
    ]
    total = np.zeros((1, max(part.shape[1] for part in parts)), np.float32)
    for part in parts:
        total[:, : part.shape[1]] += part
    return np.clip(total, -1.0, 1.0) if len(parts) > 1 else total


def _key(track: Track, root: Path, facts: TokenizerFacts, offset: int) -> str:
    sizes = []
    for path in (track.path, *track.stems):
        try:
            sizes.append(f"{path}:{(root / path).stat().st_size}")
        except OSError:
            raise AudioError(f"no such audio file: {os.fspath(root / path)!r}") from None
    made_from = json.dumps([sizes, offset, asdict(facts)], sort_keys=True)
    return hashlib.sha256(made_from.encode()).hexdigest()[:24]


def _read_codes(path: Path) -> np.ndarray | None:
    try:
        codes: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return codes if codes.ndim == 2 and codes.dtype == np.uint16 else None


def _write_index(folder: Path, facts: TokenizerFacts, shards: Sequence[Shard]) -> None:
    content = {
        "format": _FORMAT,
        "tokenizer": asdict(facts),
        "shards": [asdict(shard) for shard in shards],
    }
    write_text(folder / INDEX_NAME, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def _known(kind: type[Shard], entry: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in entry.items() if name in names}
