"""A corpus to the attributes of each stretch of its tracks: attributes.jsonl beside the manifest.

Measured features (`audio_features`) and tags become words with a confidence each. A track that
has its line is not described again, so rendered music keeps its ground truth.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from bandtok.data.audio_features import FEATURES_SAMPLE_RATE, AudioFeatures, extract_features
from bandtok.data.manifest import Track, load_manifest, manifest_folder
from bandtok.data.segments import (
    ATTRIBUTES_NAME,
    TONICS,
    Segment,
    load_attributes,
    segment_line,
)
from bandtok.data.track_audio import content_key, track_blocks
from bandtok.errors import AudioError, BandTokError, DataError

SEGMENT_SECONDS = 20.0
_SHORTEST_SECONDS = 5.0
_TAGGED_EVERY_SECONDS = 6.0  # the tagger takes 3 s; every other 3 s suffice for 20 s
# Set where rendered music, with known attributes, is classified best (docs/lab/LOG.md).
_SLOW_ONSETS, _FAST_ONSETS = 2.4, 4.5
_TARGET_BPM = {"slow": 65.0, "medium": 104.0, "fast": 148.0}
_CLEAR_PULSE = 0.35
_DRUM_STROKES, _DRUM_STRIKE = 0.7, 1.0
_DRUMLESS_STROKES = 0.4
_BRIGHT_DB, _DARK_DB = -10.5, -27.0
_SPARSE_ONSETS, _BUSY_ONSETS = 1.0, 7.0
_CLEAR_KEY = 0.1
_LIKELY_TAG, _SURE_TAG = 0.1, 0.45
_TAGS: Mapping[str, tuple[str, str]] = {
    "rock": ("style", "rock"),
    "pop": ("style", "pop"),
    "indie": ("style", "indie"),
    "electronic": ("style", "electronic"),
    "electronica": ("style", "electronic"),
    "electro": ("style", "electro"),
    "dance": ("style", "dance"),
    "House": ("style", "house"),
    "jazz": ("style", "jazz"),
    "metal": ("style", "metal"),
    "heavy metal": ("style", "heavy metal"),
    "hard rock": ("style", "hard rock"),
    "Progressive rock": ("style", "progressive rock"),
    "punk": ("style", "punk"),
    "blues": ("style", "blues"),
    "soul": ("style", "soul"),
    "folk": ("style", "folk"),
    "country": ("style", "country"),
    "funk": ("style", "funk"),
    "Hip-Hop": ("style", "hip hop"),
    "ambient": ("style", "ambient"),
    "acoustic": ("style", "acoustic"),
    "experimental": ("style", "experimental"),
    "easy listening": ("style", "easy listening"),
    "guitar": ("instrument", "guitar"),
    "beautiful": ("mood", "beautiful"),
    "chillout": ("mood", "chillout"),
    "chill": ("mood", "chill"),
    "Mellow": ("mood", "mellow"),
    "party": ("mood", "party"),
    "catchy": ("mood", "catchy"),
    "sad": ("mood", "sad"),
    "happy": ("mood", "happy"),
}

Progress = Callable[[int, int], None]


class AudioTagger(Protocol):
    """What describing needs of a tagger; see `bandtok.tagger`."""

    labels: tuple[str, ...]

    def tag(self, waveform: np.ndarray, sample_rate: int, hop_seconds: float, /) -> np.ndarray: ...


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a run left: tracks with a line now, and one line for each that was left out."""

    tracks: int
    left_out: list[str]


def describe_corpus(
    corpus: str | os.PathLike[str],
    *,
    load_tagger: Callable[[], AudioTagger] | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Description:
    """Describe, or finish describing, every track of a corpus.

    Args:
        corpus: manifest file, or folder of audio.
        load_tagger: makes the tagger, in each worker process; must be picklable. None to do
            without its words.
        jobs: worker processes.
        progress: called with (tracks done, tracks in all).

    Raises:
        DataError: if there is no corpus. MissingDependency: if the tagger cannot be loaded.
    """
    if jobs < 1:
        raise DataError(f"got {jobs} jobs; expected at least 1")
    root = manifest_folder(corpus)
    left_out: list[str] = []
    tracks = load_manifest(
        corpus, on_skip=lambda name, why: left_out.append(f"left out {name}: {why}")
    )
    known = load_attributes(root)
    sources = {track.path: _made_from(track, root, load_tagger is not None) for track in tracks}
    missing = [
        track
        for track in tracks
        if track.path not in known
        or known[track.path].made_from not in ("", *_also_good(sources[track.path]))
    ]
    done, failed = len(tracks) - len(missing), 0
    for track, found in _described(missing, root, load_tagger, jobs):
        if isinstance(found, str):
            left_out.append(found)
            failed += 1
        else:
            line = segment_line(track.path, found, sources[track.path])
            _append(root / ATTRIBUTES_NAME, line)
        done += 1
        if progress:
            progress(done, len(tracks))
    return Description(tracks=len(tracks) - failed, left_out=left_out)


_TAGGED, _MEASURED = "|tagged", "|measured"


def _made_from(track: Track, root: Path, tagged: bool) -> str:
    try:
        return content_key(track, root) + (_TAGGED if tagged else _MEASURED)
    except AudioError:  # said when it is opened
        return ""


def _also_good(made_from: str) -> tuple[str, str]:
    """Return what need not be described again for `made_from`: the same, or with a tagger."""
    return made_from, made_from.removesuffix(_MEASURED) + _TAGGED


def describe_blocks(
    blocks: Iterable[np.ndarray], tagger: AudioTagger | None = None
) -> list[Segment]:
    """Describe mono samples [n] at FEATURES_SAMPLE_RATE Hz, one segment for every 20 s."""
    segments = []
    for start, part in _stretches(blocks):
        features = extract_features(part)
        tags: dict[str, float] = {}
        if features is not None and tagger is not None:
            means = tagger.tag(part, FEATURES_SAMPLE_RATE, _TAGGED_EVERY_SECONDS).mean(axis=0)
            tags = dict(zip(tagger.labels, means.tolist(), strict=True))
        segments.append(_segment(start, start + len(part), features, tags))
    return segments


def segment_words(
    features: AudioFeatures, tags: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Return kind -> word -> how sure, from what was measured and the tagger's probabilities."""
    words: dict[str, dict[str, float]] = {
        "tempo": _tempo_word(features),
        "drums": _drums_word(features),
        "brightness": _brightness_word(features),
        "density": _density_word(features),
    }
    for tag, probability in tags.items():
        if tag in _TAGS and probability > _LIKELY_TAG:
            kind, word = _TAGS[tag]
            weight = round(min(0.9, 0.9 * probability / _SURE_TAG), 2)
            group = words.setdefault(kind, {})
            group[word] = max(weight, group.get(word, 0.0))
    return {kind: found for kind, found in words.items() if found}


def tempo_bpm(features: AudioFeatures) -> float:
    """Return the tempo at the octave that fits how many notes there are."""
    word = _pace(features)
    target = _TARGET_BPM[word]
    factors = (0.5, 1.0, 1.5, 2.0) if word == "fast" else (0.5, 1.0, 2.0)
    return min(
        (features.bpm * factor for factor in factors), key=lambda bpm: abs(np.log(bpm / target))
    )


def _pace(features: AudioFeatures) -> str:
    if features.onsets_per_second < _SLOW_ONSETS:
        return "slow"
    return "fast" if features.onsets_per_second > _FAST_ONSETS else "medium"


def _tempo_word(features: AudioFeatures) -> dict[str, float]:
    word = _pace(features)
    edge = min(
        abs(np.log(features.onsets_per_second + 1e-3) - np.log(limit))
        for limit in (_SLOW_ONSETS, _FAST_ONSETS)
    )
    weight = 0.35 if word == "medium" else 0.4 + min(0.4, 2 * float(edge))
    return {word: round(weight, 2)}


def _drums_word(features: AudioFeatures) -> dict[str, float]:
    if features.strokes > _DRUM_STROKES and features.strike > _DRUM_STRIKE:
        return {"drums": 0.75}
    if features.strokes < _DRUMLESS_STROKES and features.strike < _DRUM_STRIKE:
        return {"no drums": 0.6}
    return {}


def _brightness_word(features: AudioFeatures) -> dict[str, float]:
    if features.high_share_db > _BRIGHT_DB:
        return {"bright": 0.6}
    return {"dark sound": 0.6} if features.high_share_db < _DARK_DB else {}


def _density_word(features: AudioFeatures) -> dict[str, float]:
    if features.onsets_per_second < _SPARSE_ONSETS:
        return {"sparse": 0.5}
    return {"busy": 0.5} if features.onsets_per_second > _BUSY_ONSETS else {}


def _segment(
    start: int, end: int, features: AudioFeatures | None, tags: Mapping[str, float]
) -> Segment:
    begin, finish = (round(place / FEATURES_SAMPLE_RATE, 3) for place in (start, end))
    finish = max(finish, round(begin + 0.001, 3))
    if features is None:
        return Segment(start_seconds=begin, end_seconds=finish)
    clear = features.pulse > _CLEAR_PULSE
    keyed = features.key_clearness > _CLEAR_KEY
    mode = "minor" if features.minor else "major"
    return Segment(
        start_seconds=begin,
        end_seconds=finish,
        words=segment_words(features, tags),
        bpm=round(tempo_bpm(features), 1) if clear else None,
        bpm_weight=round(min(0.7, features.pulse), 2) if clear else 0.0,
        beat_seconds=round(begin + features.beat_seconds, 3) if clear else None,
        key=f"{TONICS[features.tonic]} {mode}" if keyed else "",
        key_weight=0.5 if keyed else 0.0,
        loudness_db=round(features.loudness_db, 1),
    )


def _stretches(blocks: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (first sample, samples) of 20 s each; a short rest belongs to the one before it."""
    step = round(SEGMENT_SECONDS * FEATURES_SAMPLE_RATE)
    enough = step + round(_SHORTEST_SECONDS * FEATURES_SAMPLE_RATE)
    held, start = np.zeros(0, np.float32), 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= enough:
            yield start, held[:step]
            held, start = held[step:], start + step
    if len(held):
        yield start, held


def _described(
    tracks: Sequence[Track],
    root: Path,
    load_tagger: Callable[[], AudioTagger] | None,
    jobs: int,
) -> Iterator[tuple[Track, list[Segment] | str]]:
    if jobs == 1:
        tagger = load_tagger() if load_tagger and tracks else None
        for track in tracks:
            yield track, _describe_track(track, root, tagger)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_start_worker, initargs=(load_tagger, jobs)
    ) as pool:
        found = pool.map(_describe_by_worker, tracks, [root] * len(tracks))
        yield from zip(tracks, found, strict=True)


_worker_tagger: AudioTagger | None = None


def _start_worker(load_tagger: Callable[[], AudioTagger] | None, jobs: int) -> None:
    global _worker_tagger
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
    _worker_tagger = load_tagger() if load_tagger else None


def _describe_by_worker(track: Track, root: Path) -> list[Segment] | str:
    return _describe_track(track, root, _worker_tagger)


def _describe_track(track: Track, root: Path, tagger: AudioTagger | None) -> list[Segment] | str:
    """Return a track's segments, or one line that says why there are none."""
    try:
        found = describe_blocks(track_blocks(track, root, FEATURES_SAMPLE_RATE), tagger)
    except BandTokError as error:
        return f"left out {track.path}: {error}"
    return found or f"left out {track.path}: it holds no samples"


def _append(file: Path, line: str) -> None:
    with file.open("ab+") as log:
        if log.tell():
            log.seek(-1, os.SEEK_END)
            if log.read(1) != b"\n":  # a run was stopped in the middle of a line
                line = "\n" + line
        log.write(line.encode())
