"""A corpus and a tokenizer to numbers: reconstruction by system.

    manifest or folder of audio, Tokenizer -> ReconstructionReport

Writes nothing; see :mod:`bandtok.evaluation.report`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import Track, load_manifest, manifest_folder
from bandtok.errors import AudioError, ConfigError, DataError, MissingDependency
from bandtok.evaluation.embedders import Embedder, load_embedder
from bandtok.evaluation.embedding_measures import (
    EMBEDDER_MEASURES,
    ORIGINAL,
    check_embedder_names,
    frechet_by_system,
    load_embedders,
    mmd_by_system,
)
from bandtok.evaluation.excerpts import Excerpt, choose_excerpts, load_track, spread
from bandtok.evaluation.frechet import Frechet
from bandtok.evaluation.measured_clips import (
    ClipMeasurer,
    ClipRow,
    KeepAudio,
    MeasuredClip,
    OriginalMeasures,
)
from bandtok.evaluation.statistics import Estimate, bootstrap_mean
from bandtok.evaluation.system_audio import SystemAudio, check_system_audio
from bandtok.evaluation.systems import (
    ALL_SYSTEMS,
    DEFAULT_SYSTEMS,
    ClipMeasures,
    named_systems,
)
from bandtok.evaluation.usage import CodebookUsage, UsageCounter
from bandtok.extras import require

Progress = Callable[[int, int], None]
MEASURES = tuple(measure.name for measure in fields(ClipMeasures))
ORIGINAL_MEASURES = tuple(measure.name for measure in fields(OriginalMeasures))
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
        pitch_and_onsets: measure pitch and onsets of waveforms, if librosa is installed.
        embedders: measure embedding distance and MMD of waveforms with those of these that are
            installed; names of EMBEDDER_MEASURES.
        si_sdr: also the signal-to-distortion ratio, which is meaningless for a codec that
            synthesizes phase.
        system_audio: reconstructions by other programs, measured like the systems.
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
    pitch_and_onsets: bool = True
    embedders: tuple[str, ...] = tuple(known.embedder for known in EMBEDDER_MEASURES)
    si_sdr: bool = False
    system_audio: tuple[SystemAudio, ...] = ()

    def __post_init__(self) -> None:
        named_systems(self.systems)
        check_embedder_names(self.embedders)
        if not self.systems or (self.max_clips is not None and self.max_clips < 1):
            raise ConfigError(
                f"got systems {self.systems} and max_clips {self.max_clips}; expected at least one "
                "of each"
            )

    @property
    def system_names(self) -> tuple[str, ...]:
        """Everything that is measured: systems, then other programs' reconstructions."""
        return (*self.systems, *(other.name for other in self.system_audio))


@dataclass(frozen=True, kw_only=True)
class ReconstructionReport:
    """Everything measured in one run.

    Attributes:
        model: name, fingerprint and bit rate of the tokenizer.
        settings: of the run.
        rows: by clip, in corpus order.
        means: mean with interval by system and measure, where there was something to average; the
            names of ClipMeasures, and "mmd" and "mmd_aisfx", which are of all clips together.
        usage: of the codebook.
        left_out: one line for each clip or track that could not be read.
        frechet: by system with a waveform, on musicnn (MTT) embeddings of windows of 3 s; empty
            when it was not requested.
        originals: mean with interval by measure of OriginalMeasures.
    """

    model: ModelSummary
    settings: ReconstructionSettings
    rows: tuple[ClipRow, ...]
    means: dict[str, dict[str, Estimate]]
    usage: CodebookUsage
    left_out: tuple[str, ...]
    frechet: dict[str, Frechet] = field(default_factory=dict)
    originals: dict[str, Estimate] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
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
    keep_audio: KeepAudio | None = None,
) -> ReconstructionReport:
    """Measure a tokenizer on excerpts of a corpus.

    Args:
        manifest: manifest.jsonl, a folder that holds one, or a plain folder of audio.
        tokenizer: what is measured.
        settings: what to measure; None means the defaults.
        workers: clips at a time, in threads.
        progress: called with (steps done, steps in all).
        keep_audio: called with "original" or a system's name, the excerpt, and its waveform; from
            several threads if there are several workers.

    Raises:
        DataError: if the split is empty or none of its clips can be used, or a folder of
            `system_audio` does not exist.
        MissingDependency: if the STFT distance, ViSQOL or Frechet distance needs an extra that is
            not installed. Pitch, onsets and embedding distances are left out with a note instead.
    """
    settings = settings or ReconstructionSettings()
    folder = manifest_folder(manifest)
    check_system_audio(settings.system_audio, (ORIGINAL, *(one.name for one in ALL_SYSTEMS)))
    tracks = select_tracks(manifest, settings.split)
    excerpts = _chosen(tracks, settings)
    whole_tracks = tracks if settings.usage == "full" else []
    steps = Steps(len(excerpts) + len(whole_tracks), progress)
    counter = UsageCounter(tokenizer.codebook_size, tokenizer.num_bands)
    measurer, left_out = _measurer(folder, tokenizer, settings, keep_audio)
    clips, unused = _measured(measurer, excerpts, settings.visqol_clips, workers, steps)
    for clip in clips if not whole_tracks else ():
        counter.add(clip.codes)
    for found in encoded_tracks(whole_tracks, folder, tokenizer, steps):
        if isinstance(found, str):
            unused.append(found)
        else:
            counter.add(found)
    rows = [clip.row for clip in clips]
    if not rows:
        raise DataError(f"none of {len(excerpts)} clips could be used; first reason: {unused[0]}")
    mmd, frechet, notes = _set_measures(clips, settings)
    return ReconstructionReport(
        model=model_summary(tokenizer),
        settings=settings,
        rows=tuple(rows),
        means={
            system: {**_means(rows, MEASURES, _of_system(system)), **mmd.get(system, {})}
            for system in settings.system_names
        },
        usage=counter.usage(),
        left_out=tuple(dict.fromkeys([*left_out, *unused, *notes])),
        frechet=frechet,
        originals=_means(rows, ORIGINAL_MEASURES, lambda row, name: getattr(row.original, name)),
    )


def _measured(
    measurer: ClipMeasurer,
    excerpts: Sequence[Excerpt],
    visqol_clips: int,
    workers: int,
    steps: Steps,
) -> tuple[list[MeasuredClip], list[str]]:
    """Measure excerpts, `visqol_clips` of them by ViSQOL too; return clips and those left out."""
    rated = set(spread(excerpts, visqol_clips))

    def measure(item: tuple[int, Excerpt]) -> MeasuredClip | str:
        index, excerpt = item
        return measurer(excerpt, visqol=index in rated)

    clips, unused = [], []
    for outcome in _in_threads(measure, list(enumerate(excerpts)), workers):
        if isinstance(outcome, str):
            unused.append(outcome)
        else:
            clips.append(outcome)
        steps.one_more()
    return clips, unused


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


def model_summary(tokenizer: Tokenizer) -> ModelSummary:
    """Return what a report says of a tokenizer."""
    return ModelSummary(
        name=tokenizer.model_id,
        fingerprint=tokenizer.fingerprint,
        bit_rate_bps=tokenizer.bit_rate_bps,
        codebook_size=tokenizer.codebook_size,
        num_bands=tokenizer.num_bands,
        sample_rate=tokenizer.sample_rate,
        rows_are_bands=tokenizer.config.rows_are_bands,
    )


class Steps:
    """Counts steps and calls `progress`."""

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


def _chosen(tracks: list[Track], settings: ReconstructionSettings) -> list[Excerpt]:
    excerpts = choose_excerpts(tracks, settings.excerpt_seconds, settings.excerpts_per_track)
    if settings.max_clips is None:
        return excerpts
    return [excerpts[index] for index in spread(excerpts, settings.max_clips)]


def _measurer(
    folder: Path,
    tokenizer: Tokenizer,
    settings: ReconstructionSettings,
    keep_audio: KeepAudio | None,
) -> tuple[ClipMeasurer, list[str]]:
    """Return what measures a clip, and one line for each optional package that is missing."""
    systems = named_systems(settings.systems)
    pitch_and_onsets = False
    embedders: dict[str, Embedder] = {}
    missing: list[str] = []
    if settings.system_audio or any(system.has_waveform for system in systems):
        if settings.frechet:  # requested, so that a missing package is an error
            embedders["musicnn"] = load_embedder("musicnn", tokenizer.device)
        others = [name for name in settings.embedders if name not in embedders]
        loaded, missing = load_embedders(others, tokenizer.device)
        embedders |= loaded
        pitch_and_onsets = settings.pitch_and_onsets
    if pitch_and_onsets:
        try:
            require("librosa", "evaluate")
        except MissingDependency as error:
            pitch_and_onsets = False
            missing.append(f"pitch and onsets: {error}")
    return ClipMeasurer(
        folder=folder,
        tokenizer=tokenizer,
        systems=systems,
        system_audio=settings.system_audio,
        embedders=embedders,
        below_hz=settings.below_hz,
        num_iterations=settings.num_iterations,
        pitch_and_onsets=pitch_and_onsets,
        si_sdr=settings.si_sdr,
        keep_audio=keep_audio,
    ), missing


def _of_system(system: str) -> Callable[[ClipRow, str], float | None]:
    return lambda row, name: getattr(row.measures[system], name)


def _means(
    rows: list[ClipRow], names: Sequence[str], found: Callable[[ClipRow, str], float | None]
) -> dict[str, Estimate]:
    """Return mean and interval of each measure over the clips that have it."""
    means = {}
    for name in names:
        values = [
            (value, row.excerpt.track.path)
            for row in rows
            if (value := found(row, name)) is not None
        ]
        if values:
            numbers, tracks = zip(*values, strict=True)
            means[name] = bootstrap_mean(numbers, tracks)
    return means


def _set_measures(
    clips: Sequence[MeasuredClip], settings: ReconstructionSettings
) -> tuple[dict[str, dict[str, Estimate]], dict[str, Frechet], list[str]]:
    """Return MMD by system and measure, Frechet distance by system, and notes."""
    embeddings = [clip.embeddings for clip in clips if clip.embeddings]
    if not embeddings:
        return {}, {}, []
    mmd, notes = mmd_by_system(embeddings)
    frechet: dict[str, Frechet] = {}
    if settings.frechet:
        frechet, missing = frechet_by_system(embeddings)
        notes += missing
    return mmd, frechet, notes


def _in_threads(
    work: Callable[[_Item], _Result], items: list[_Item], workers: int
) -> Iterator[_Result]:
    """Apply `work` in order, `workers` items at a time; errors come up at their place."""
    if workers <= 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(max_workers=workers) as pool:
        yield from pool.map(work, items)
