"""A corpus of audio as token shards, and windows of them: what a music language model trains on.

    OUT/codes/<key>.npy   uint16 [bands, frames], one for each track and variant of it
    OUT/index.json        the tokenizer's physics and fingerprint, one entry for each shard, and the
                          segments of each track

A file is there whole or not at all, and its name says what it was made from, so that a second run
does only what is missing. Knows a tokenizer only as something with `encode`.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bandtok.data.manifest import Track, load_manifest, manifest_folder
from bandtok.data.segments import Described, Segment, load_attributes, segment_content, segment_from
from bandtok.data.track_audio import content_key, track_blocks
from bandtok.errors import AudioError, DataError, DataWarning, printable
from bandtok.signal.audio import resample_blocks
from bandtok.tokens.atomic import replacing, write_text
from bandtok.tokens.grid import TokenGrid

INDEX_NAME = "index.json"
CODES_FOLDER = "codes"
_FORMAT = 1
Progress = Callable[[int, int], None]


class AudioTokenizer(Protocol):
    """What tokenizing a corpus needs of a tokenizer."""

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
class Variants:
    """The ways in which each training track is encoded; other splits get the plain one alone.

    The same music at another offset, level or pitch is other tokens: more to learn from. Variant
    number n has the n-th part of a frame as offset and the n-th gain and transposition, each list
    going round.

    Attributes:
        count: variants of each track.
        gains_db: in dB; what would go beyond full scale is cut off there.
        semitones: change of pitch and speed together, as of a tape.
    """

    count: int = 1
    gains_db: tuple[float, ...] = (0.0,)
    semitones: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        if not self.gains_db or not all(abs(gain) <= 40 for gain in self.gains_db):
            raise DataError(f"got gains of {self.gains_db} dB; expected each within 40 dB of 0")
        if not self.semitones or not all(abs(steps) <= 12 for steps in self.semitones):
            raise DataError(f"got {self.semitones} semitones; expected each within 12 of 0")

    def of(self, split: str, spacing: int) -> list[Variant]:
        """Return the variants of a track of this split, frames being `spacing` samples long."""
        count = self.count if split == "train" else 1
        plain = split != "train"
        return [
            Variant(
                offset_samples=number * spacing // count,
                gain_db=0.0 if plain else self.gains_db[number % len(self.gains_db)],
                semitones=0 if plain else self.semitones[number % len(self.semitones)],
            )
            for number in range(count)
        ]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to encode a track: see `Variants`; `offset_samples` are left out at the start."""

    offset_samples: int = 0
    gain_db: float = 0.0
    semitones: int = 0

    @property
    def speed(self) -> float:
        """Seconds of the track in a second of the variant."""
        return float(2.0 ** (self.semitones / 12))


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
        codes = _read_codes(self.folder / shard.file)
        expected = (self.tokenizer.num_bands, shard.num_frames)
        if codes is None or codes.shape != expected:
            raise DataError(
                f"shard {shard.file} is missing or damaged; expected uint16 {list(expected)}; "
                "run 'bandtok data tokenize' again"
            )
        return codes


def tokenize_corpus(
    corpora: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    tokenizer: AudioTokenizer,
    out: str | os.PathLike[str],
    *,
    offsets_per_track: int = 1,
    variants: Variants | None = None,
    splits: Sequence[str] = ("train", "valid", "test"),
    jobs: int = 1,
    load_tokenizer: Callable[[], AudioTokenizer] | None = None,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> TokenCorpus:
    """Write token shards for one or more corpora; shards that are there already are kept.

    The index describes exactly the corpora and variants of this call. What `bandtok data describe`
    found of a corpus is copied, each time.

    Args:
        corpora: manifest file or folder of audio, or several.
        tokenizer: encodes mono audio into grids.
        out: folder of the shards.
        offsets_per_track: how many sub-frame offsets each training track is encoded at; short for
            `variants` that differ in nothing else.
        variants: the ways in which each training track is encoded.
        splits: which splits to encode.
        jobs: worker processes; more than one need `load_tokenizer`.
        load_tokenizer: makes the same tokenizer in a worker process; must be picklable.
        progress: called with (tracks done, tracks in all).
        warn: called with one line for each track that cannot be read; such tracks are left out.

    Raises:
        DataError: if the number of variants is out of range, or not one track can be used.
    """
    spec = TokenizerSpec.of(tokenizer)
    variants = variants or Variants(count=offsets_per_track)
    spacing = spec.samples_per_frame
    if not 1 <= variants.count <= spacing:
        raise DataError(f"got {variants.count} offsets for each track; expected 1 to {spacing}")
    folder = Path(out)
    (folder / CODES_FOLDER).mkdir(parents=True, exist_ok=True)
    places = [corpora] if isinstance(corpora, (str, os.PathLike)) else list(corpora)
    works = [work for place in places for work in _works(place, splits, folder, spec, variants)]
    if jobs == 1:
        done = _here(works, tokenizer)
    elif load_tokenizer is None or jobs < 1:
        raise DataError(f"got {jobs} jobs; expected 1, or more with a way to load the tokenizer")
    else:
        done = _in_processes(works, jobs, load_tokenizer)
    shards: list[Shard] = []
    for number, found in enumerate(done):
        if isinstance(found, str):
            if warn:
                warn(found)
        else:
            shards += found
        if progress:
            progress(number + 1, len(works))
    if not shards:
        named = ", ".join(repr(os.fspath(place)) for place in places)
        raise DataError(f"none of {len(works)} tracks of {named} could be encoded")
    _write_index(folder, spec, shards)
    return TokenCorpus(folder)


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A track to encode, and all that is needed for it but the tokenizer."""

    track: Track
    root: Path
    folder: Path
    spec: TokenizerSpec
    variants: list[Variant]
    segments: tuple[Segment, ...] = field(default=())


def _works(
    corpus: str | os.PathLike[str],
    splits: Sequence[str],
    folder: Path,
    spec: TokenizerSpec,
    variants: Variants,
) -> list[_Work]:
    root = manifest_folder(corpus)
    attributes = load_attributes(root)
    return [
        _Work(
            track=track,
            root=root,
            folder=folder,
            spec=spec,
            variants=variants.of(track.split, spec.samples_per_frame),
            segments=_current_segments(attributes.get(track.path), track, root),
        )
        for track in load_manifest(corpus, splits)
    ]


def _current_segments(described: Described | None, track: Track, root: Path) -> tuple[Segment, ...]:
    """Return a track's segments if its files are those that were described."""
    if described is None:
        return ()
    try:
        current = described.made_from.rpartition("|")[0] == content_key(track, root)
    except AudioError:  # said when it is opened
        return ()
    if described.made_from and not current:
        message = f"{track.path} has changed since it was described; 'bandtok data describe' again"
        warnings.warn(DataWarning(printable(message)), stacklevel=2)
        return ()
    return tuple(described.segments)


def _here(works: Sequence[_Work], tokenizer: AudioTokenizer) -> Iterator[list[Shard] | str]:
    for work in works:
        yield _tokenized(work, tokenizer)


def _in_processes(
    works: Sequence[_Work], jobs: int, load_tokenizer: Callable[[], AudioTokenizer]
) -> Iterator[list[Shard] | str]:
    """Encode in worker processes; results in the order of the works."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_start_worker, initargs=(load_tokenizer, jobs)
    ) as pool:
        yield from pool.map(_tokenized_by_worker, works)


_worker_tokenizer: AudioTokenizer | None = None


def _start_worker(load_tokenizer: Callable[[], AudioTokenizer], jobs: int) -> None:
    global _worker_tokenizer
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
    _worker_tokenizer = load_tokenizer()


def _tokenized_by_worker(work: _Work) -> list[Shard] | str:
    assert _worker_tokenizer is not None
    return _tokenized(work, _worker_tokenizer)


def _tokenized(work: _Work, tokenizer: AudioTokenizer) -> list[Shard] | str:
    """Return the shards of a track, or one line that says why there are none."""
    try:
        return list(_tokenize_track(work, tokenizer))
    except AudioError as error:
        return f"left out {work.track.path}: {error}"


def _tokenize_track(work: _Work, tokenizer: AudioTokenizer) -> Iterator[Shard]:
    track, spec = work.track, work.spec
    made_from = content_key(track, work.root)
    for variant in work.variants:
        file = f"{CODES_FOLDER}/{_key(made_from, spec, variant)}.npy"
        codes = _read_codes(work.folder / file)
        if codes is None:
            blocks = track_blocks(track, work.root, spec.sample_rate)
            codes = _encode(tokenizer, _varied(blocks, variant, spec.sample_rate), spec)
            with replacing(work.folder / file) as temporary:
                np.save(temporary, codes)
        yield Shard(
            file=file,
            path=track.path,
            offset_samples=variant.offset_samples,
            num_frames=codes.shape[1],
            split=track.split,
            title=track.title,
            style=list(track.style),
            package=track.package,
            gain_db=variant.gain_db,
            semitones=variant.semitones,
            frame_seconds=1.0 / spec.frame_rate,
            start_seconds=variant.offset_samples / spec.sample_rate,
            segments=work.segments,
        )


def _varied(
    blocks: Iterable[np.ndarray], variant: Variant, sample_rate: int
) -> Iterator[np.ndarray]:
    """Yield blocks [n] transposed, without the first samples, and louder or softer."""
    if variant.semitones:
        stacked = (block[None] for block in blocks)
        moved = resample_blocks(stacked, sample_rate, sample_rate / variant.speed, 1)
        blocks = (block[0] for block in moved)
    skipped, gain = variant.offset_samples, np.float32(10 ** (variant.gain_db / 20))
    for block in blocks:
        part = block[skipped:]
        skipped -= len(block) - len(part)
        yield np.clip(part * gain, -1.0, 1.0) if variant.gain_db else part


def _encode(
    tokenizer: AudioTokenizer, blocks: Iterable[np.ndarray], spec: TokenizerSpec
) -> np.ndarray:
    grid = tokenizer.encode_samples(blocks)
    if grid.codes.shape[0] != spec.num_bands:
        raise DataError(f"got a grid of {grid.codes.shape[0]} bands; expected {spec.num_bands}")
    return grid.whole_frames().codes.astype(np.uint16)


def _key(made_from: str, spec: TokenizerSpec, variant: Variant) -> str:
    values = [made_from, variant.offset_samples, variant.gain_db, variant.semitones, asdict(spec)]
    content = json.dumps(values, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def _read_codes(path: Path) -> np.ndarray | None:
    try:
        codes: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return codes if codes.ndim == 2 and codes.dtype == np.uint16 else None


def _write_index(folder: Path, spec: TokenizerSpec, shards: Sequence[Shard]) -> None:
    """Write one entry a shard; the segments of a track once, under the file of its first shard."""
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
