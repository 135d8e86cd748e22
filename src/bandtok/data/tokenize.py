"""A corpus of audio to token shards: each track encoded once per variant.

A file's name says what it was made from, so a second run encodes only what is missing. Knows a
tokenizer only as something with `encode_samples`.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from bandtok.data.manifest import Track, load_manifest, manifest_folder
from bandtok.data.segments import Described, Segment, load_attributes
from bandtok.data.shards import (
    CODES_FOLDER,
    AudioTokenizer,
    Shard,
    TokenCorpus,
    TokenizerSpec,
    read_codes,
    write_index,
)
from bandtok.data.track_audio import content_key, track_blocks
from bandtok.errors import AudioError, DataError, DataWarning, printable
from bandtok.signal.audio import resample_blocks
from bandtok.tokens.atomic import replacing

Progress = Callable[[int, int], None]
_worker_tokenizer: AudioTokenizer | None = None


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


def tokenize_corpus(
    corpora: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    tokenizer: AudioTokenizer,
    out: str | os.PathLike[str],
    *,
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
        variants: the ways in which each training track is encoded; None is as it is.
        splits: which splits to encode.
        jobs: worker processes; more than one need `load_tokenizer`.
        load_tokenizer: makes the same tokenizer in a worker process; must be picklable.
        progress: called with (tracks done, tracks in all).
        warn: called with one line for each track that cannot be read; such tracks are left out.

    Raises:
        DataError: if the number of variants is out of range, or not one track can be used.
    """
    spec, variants = TokenizerSpec.of(tokenizer), variants or Variants()
    spacing = spec.samples_per_frame
    if not 1 <= variants.count <= spacing:
        raise DataError(f"got {variants.count} offsets for each track; expected 1 to {spacing}")
    folder = Path(out)
    (folder / CODES_FOLDER).mkdir(parents=True, exist_ok=True)
    places = [corpora] if isinstance(corpora, (str, os.PathLike)) else list(corpora)
    skip = (lambda name, why: warn(f"left out {name}: {why}")) if warn else None
    works = [one for place in places for one in _works(place, splits, folder, spec, variants, skip)]
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
    write_index(folder, spec, shards)
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
    on_skip: Callable[[str, str], None] | None,
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
        for track in load_manifest(corpus, splits, on_skip)
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
        codes = read_codes(work.folder / file)
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
