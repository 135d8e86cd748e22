"""A corpus and a tokenizer to numbers: reconstruction by system.

    manifest or folder of audio, Tokenizer -> ReconstructionReport

Writes nothing; see :mod:`bandtok.evaluation.report`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from bandtok.data.manifest import Track, load_manifest, manifest_folder
from bandtok.errors import AudioError, ConfigError, DataError
from bandtok.evaluation.embedders import Embedder, load_embedder
from bandtok.evaluation.excerpts import (
    Excerpt,
    choose_excerpts,
    load_excerpt,
    load_track,
    spread,
)
from bandtok.evaluation.frechet import MIN_SAMPLES, Frechet, frechet_distance
from bandtok.evaluation.statistics import Estimate, bootstrap_mean
from bandtok.evaluation.systems import (
    DEFAULT_SYSTEMS,
    ClipMeasures,
    System,
    measure_output,
    named_systems,
    prepare,
    reconstruct,
)
from bandtok.evaluation.usage import CodebookUsage, UsageCounter
from bandtok.pipeline import Tokenizer

Progress = Callable[[int, int], None]
MEASURES = ("mel", "mel_below", "stft", "visqol", "si_sdr", "time_texture", "band_texture")
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class ReconstructionSettings:
    """What is measured.

    Attributes:
        split: of the manifest; None takes every track.
        excerpt_seconds: length of a clip.
        excerpts_per_track: clips of one track, spread evenly over it.
        max_clips: use only this many clips, spread evenly over the split; None uses all.
        systems: names of systems.ALL_SYSTEMS.
        visqol_clips: rate this many clips by ViSQOL (about real time for each system).
        below_hz: limit of the second mel figure.
        num_iterations: Griffin-Lim rounds.
        usage: count codes of the whole tracks of the split, or of the clips only.
        frechet: also compare the set of reconstructions with the set of originals (see Frechet).
    """

    split: str | None = "test"
    excerpt_seconds: float = 10.0
    excerpts_per_track: int = 1
    max_clips: int | None = None
    systems: tuple[str, ...] = DEFAULT_SYSTEMS
    visqol_clips: int = 0
    below_hz: float = 15_000.0
    num_iterations: int = 32
    usage: Literal["full", "excerpts"] = "excerpts"
    frechet: bool = False

    def __post_init__(self) -> None:
        named_systems(self.systems)
        if not self.systems or (self.max_clips is not None and self.max_clips < 1):
            raise ConfigError(
                f"got systems {self.systems} and max_clips {self.max_clips}; expected at least one "
                "of each"
            )


@dataclass(frozen=True, kw_only=True)
class ClipRow:
    """One clip.

    Attributes:
        excerpt: where it is from.
        level_dbfs: root mean square in dB of full scale; -inf is written as -200.
        measures: by system name.
    """

    excerpt: Excerpt
    level_dbfs: float
    measures: dict[str, ClipMeasures]


@dataclass(frozen=True, kw_only=True)
class ReconstructionReport:
    """Everything measured in one run.

    Attributes:
        model: name, fingerprint and bit rate of the tokenizer.
        settings: what was asked for.
        rows: by clip, in corpus order.
        means: mean with interval by system and measure, where there was something to average.
        usage: of the codebook.
        left_out: one line for each clip or track that could not be read.
        frechet: by system with a waveform, on musicnn (MTT) embeddings of windows of 3 s; empty
            when it was not asked for.
    """

    model: ModelFacts
    settings: ReconstructionSettings
    rows: tuple[ClipRow, ...]
    means: dict[str, dict[str, Estimate]]
    usage: CodebookUsage
    left_out: tuple[str, ...]
    frechet: dict[str, Frechet] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """Which tokenizer was measured."""

    name: str
    fingerprint: str
    bit_rate_bps: float
    codebook_size: int
    num_bands: int
    sample_rate: int
    rows_are_bands: bool = True


def evaluate_reconstruction(
    manifest: str | os.PathLike[str],
    tokenizer: Tokenizer,
    settings: ReconstructionSettings | None = None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> ReconstructionReport:
    """Measure a tokenizer on excerpts of a corpus.

    Args:
        manifest: manifest.jsonl, a folder that holds one, or a plain folder of audio.
        tokenizer: what is measured.
        settings: what to measure; None means the defaults.
        workers: clips at a time, in threads.
        progress: called with (steps done, steps in all).

    Raises:
        DataError: if the split is empty or none of its clips can be used.
        MissingDependency: if a measure needs an extra that is not installed.
    """
    settings = settings or ReconstructionSettings()
    folder = manifest_folder(manifest)
    tracks = select_tracks(manifest, settings.split)
    excerpts = _chosen(tracks, settings)
    rated = set(spread(excerpts, settings.visqol_clips))
    whole_tracks = tracks if settings.usage == "full" else []
    steps = Steps(len(excerpts) + len(whole_tracks), progress)
    counter = UsageCounter(tokenizer.codebook_size, tokenizer.num_bands)
    systems = named_systems(settings.systems)

    embedder = load_embedder("musicnn", tokenizer.codec.device) if settings.frechet else None

    def measured(item: tuple[int, Excerpt]) -> MeasuredClip | str:
        index, excerpt = item
        return _measure_clip(
            excerpt, folder, tokenizer, systems, settings, embedder, visqol=index in rated
        )

    rows, left_out, embeddings = [], [], []
    for outcome in _in_threads(measured, list(enumerate(excerpts)), workers):
        if isinstance(outcome, str):
            left_out.append(outcome)
        else:
            rows.append(outcome.row)
            embeddings.append(outcome.embeddings)
            if not whole_tracks:
                counter.add(outcome.codes)
        steps.one_more()
    for found in encoded_tracks(whole_tracks, folder, tokenizer, steps):
        if isinstance(found, str):
            left_out.append(found)
        else:
            counter.add(found)
    if not rows:
        raise DataError(f"none of {len(excerpts)} clips could be used; first reason: {left_out[0]}")
    distances = _frechet(embeddings, systems, left_out) if embedder else {}
    return ReconstructionReport(
        model=model_facts(tokenizer),
        settings=settings,
        rows=tuple(rows),
        means=_means(rows, settings.systems),
        usage=counter.usage(),
        left_out=tuple(dict.fromkeys(left_out)),
        frechet=distances,
    )


def select_tracks(manifest: str | os.PathLike[str], split: str | None) -> list[Track]:
    """Return the tracks of a split; None returns all.

    Raises:
        DataError: if there are none.
    """
    tracks = load_manifest(manifest)
    chosen = [track for track in tracks if split is None or track.split == split]
    if not chosen:
        present = ", ".join(sorted({track.split for track in tracks}))
        raise DataError(
            f"no track of {os.fspath(manifest)!r} is in split {split!r}; it has {present}"
        )
    return chosen


def model_facts(tokenizer: Tokenizer) -> ModelFacts:
    """Return what a report says of a tokenizer."""
    return ModelFacts(
        name=tokenizer.model_id,
        fingerprint=tokenizer.fingerprint,
        bit_rate_bps=tokenizer.bit_rate_bps,
        codebook_size=tokenizer.codebook_size,
        num_bands=tokenizer.num_bands,
        sample_rate=tokenizer.sample_rate,
        rows_are_bands=tokenizer.config.rows_are_bands,
    )


class Steps:
    """Counts what is done and tells `progress`."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def one_more(self) -> None:
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)


def encoded_tracks(
    tracks: list[Track], folder: Path, tokenizer: Tokenizer, steps: Steps
) -> Iterator[np.ndarray | str]:
    """Yield the codes of each whole track, or a line that says why it is left out."""
    for track in tracks:
        try:
            source = (
                load_track(track, folder, tokenizer.sample_rate)
                if track.stems
                else folder / track.path
            )
            codes = tokenizer.encode(source).codes
        except AudioError as error:
            yield f"{track.path}: {error}"
        else:
            yield codes if codes.size else f"{track.path}: holds no sound"
        steps.one_more()


@dataclass(frozen=True, kw_only=True)
class MeasuredClip:
    """One clip, with what the sums over all clips need.

    Attributes:
        row: its measures.
        codes: its tokens.
        embeddings: [windows, dim] by system, the original's under "".
    """

    row: ClipRow
    codes: np.ndarray
    embeddings: dict[str, np.ndarray]


def _chosen(tracks: list[Track], settings: ReconstructionSettings) -> list[Excerpt]:
    excerpts = choose_excerpts(tracks, settings.excerpt_seconds, settings.excerpts_per_track)
    if settings.max_clips is None:
        return excerpts
    return [excerpts[index] for index in spread(excerpts, settings.max_clips)]


def _measure_clip(
    excerpt: Excerpt,
    folder: Path,
    tokenizer: Tokenizer,
    systems: tuple[System, ...],
    settings: ReconstructionSettings,
    embedder: Embedder | None,
    *,
    visqol: bool,
) -> MeasuredClip | str:
    where = f"{excerpt.track.path} at {excerpt.start_seconds:.1f} s"
    try:
        audio = load_excerpt(excerpt, folder, tokenizer.sample_rate)
    except AudioError as error:
        return f"{where}: {error}"
    if audio.waveform.shape[1] < tokenizer.config.samples_per_frame:
        return f"{where}: shorter than one token frame"
    clip = prepare(audio, tokenizer)
    measures, embeddings = {}, {}
    if embedder:
        embeddings[""] = embedder.embed(audio.waveform[0], audio.sample_rate)
    for system in systems:
        made = (
            reconstruct(system, clip, tokenizer, settings.num_iterations)
            if system.has_waveform
            else None
        )
        measures[system.name] = measure_output(
            clip, made, tokenizer.config.mel, below_hz=settings.below_hz, visqol=visqol
        )
        if embedder and made:
            embeddings[system.name] = embedder.embed(made.waveform[0], made.sample_rate)
    power = float(np.mean(audio.waveform.astype(np.float64) ** 2))
    level = 10 * float(np.log10(max(power, 1e-20)))
    row = ClipRow(excerpt=excerpt, level_dbfs=level, measures=measures)
    return MeasuredClip(row=row, codes=clip.grid.codes, embeddings=embeddings)


def _frechet(
    embeddings: list[dict[str, np.ndarray]], systems: tuple[System, ...], left_out: list[str]
) -> dict[str, Frechet]:
    original = np.concatenate([by_system[""] for by_system in embeddings])
    if len(original) < MIN_SAMPLES:  # the rest of the report is good without
        left_out.append(
            f"Frechet distance: got {len(original)} windows, expected {MIN_SAMPLES} or more; "
            "take more clips of a track (--per-track) or longer ones"
        )
        return {}
    return {
        system.name: frechet_distance(
            original, np.concatenate([by_system[system.name] for by_system in embeddings])
        )
        for system in systems
        if system.has_waveform
    }


def _means(rows: list[ClipRow], systems: tuple[str, ...]) -> dict[str, dict[str, Estimate]]:
    means: dict[str, dict[str, Estimate]] = {}
    for system in systems:
        means[system] = {}
        for name in MEASURES:
            found = [
                (value, row.excerpt.track.path)
                for row in rows
                if (value := getattr(row.measures[system], name)) is not None
            ]
            if found:
                values, tracks = zip(*found, strict=True)
                means[system][name] = bootstrap_mean(values, tracks)
    return means


def _in_threads(
    work: Callable[[_Item], _Result], items: list[_Item], workers: int
) -> Iterator[_Result]:
    """Apply `work` in order, `workers` items at a time; errors come up at their place."""
    if workers <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(max_workers=workers) as pool:
        yield from pool.map(work, items)
