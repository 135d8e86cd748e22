"""Generated clips to numbers: compared with real music, baselines, and their prompts.

    folder of clips, reference folder or corpus -> GenerationReport

Writes nothing; see :mod:`bandtok.evaluation.report`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import manifest_folder
from bandtok.errors import ConfigError, DataError
from bandtok.evaluation.clip_files import (
    LEAST_SECONDS,
    AnalyzedFile,
    Progress,
    Steps,
    analyze_files,
    choose_files,
    clip_prompts,
    median_seconds,
    read_excerpts,
    reference_tracks,
    spread_excerpts,
)
from bandtok.evaluation.clip_sets import AnalyzedClip, ClipAnalyzer, SetMeasures, compare_sets
from bandtok.evaluation.comparison_sets import (
    AnalyzedSet,
    MeasuredSet,
    baseline_sets,
    coded_sets,
    reference_halves,
    training_sets,
)
from bandtok.evaluation.copies import Copies, find_copies
from bandtok.evaluation.embedders import load_embedder
from bandtok.evaluation.excerpts import Excerpt
from bandtok.evaluation.prompts import CONCEPTS, MSD_CONCEPTS, ControlPrompt
from bandtok.evaluation.statistics import Estimate, bootstrap_mean
from bandtok.evaluation.tag_measures import TextControl, text_control
from bandtok.tagger import MSD_LABELS, load_tagger


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """What is measured.

    Attributes:
        split: of the reference's manifest; None takes every track.
        seconds: every clip is cut to this length; None takes the median of the clips.
        max_clips: use only this many clips, spread evenly; None uses all.
        embedder: what the distances are taken on; see load_embedder.
        baselines: also measure noise, real music against real music, and, given a tokenizer, the
            reference's tokens in right and wrong order, all compared with the reference's tokens.
        clap: folder or hub id of a CLAP model that scores clips against their prompts.
        seed: of noise and shuffling.
    """

    split: str | None = "test"
    seconds: float | None = None
    max_clips: int | None = None
    embedder: str = "musicnn"
    baselines: bool = False
    clap: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds < LEAST_SECONDS:
            raise ConfigError(f"got clips of {self.seconds} s; expected at least {LEAST_SECONDS}")
        if self.max_clips is not None and self.max_clips < 1:
            raise ConfigError(f"got {self.max_clips} clips; expected at least 1")


@dataclass(frozen=True, kw_only=True)
class ClipSummary:
    """One clip, for the table of clips."""

    name: str
    prompt: str
    top_tags: tuple[str, ...]
    level_dbfs: float
    movement: float
    novelty: float
    silent: bool
    frozen: bool


@dataclass(frozen=True, kw_only=True)
class GenerationReport:
    """Everything measured in one run.

    Attributes:
        settings: of the run.
        seconds: length that all clips were cut to.
        reference: what the reference's own clips are like; its distances are to itself.
        sets: the clips first, then the baselines.
        coded: the clips, and training music through the tokenizer, compared with the reference
            through the tokenizer: the distance without quantization error. Empty without baselines
            or a tokenizer.
        tags: mean probability of each tag as (clips, reference).
        control: how well clips follow their prompts, by the MTT tagger; None without enough
            prompts.
        control_msd: the same by the MSD tagger, which has captioned training music.
        clap: mean CLAP score of clips and prompts; None without either.
        copies: None without training shards.
        clips: by file.
        left_out: one line for each clip that could not be used.
    """

    settings: GenerationSettings
    seconds: float
    reference: SetMeasures
    sets: tuple[MeasuredSet, ...]
    coded: tuple[MeasuredSet, ...]
    tags: dict[str, tuple[float, float]]
    control: TextControl | None
    control_msd: TextControl | None
    clap: Estimate | None
    copies: Copies | None
    clips: tuple[ClipSummary, ...]
    left_out: tuple[str, ...]


def evaluate_generation(
    clips: str | os.PathLike[str],
    reference: str | os.PathLike[str],
    settings: GenerationSettings | None = None,
    *,
    prompts: Sequence[ControlPrompt] | None = None,
    train: str | os.PathLike[str] | None = None,
    tokenizer: Tokenizer | None = None,
    progress: Progress | None = None,
) -> GenerationReport:
    """Measure a folder of clips.

    Args:
        clips: folder of audio; a .btk file beside a clip holds its tokens.
        reference: folder of audio, or a corpus with a manifest.
        settings: what to measure; None means the defaults.
        prompts: the prompts of the clips, in the order of their numbers.
        train: folder of token shards to look for copies in.
        tokenizer: makes the baselines of tokens, and decodes tokens beside long clips.
        progress: called with (steps done, steps in all).

    Raises:
        DataError: if no clip or no reference track can be used, or prompts or shards do not fit.
        MissingDependency: if the evaluators' weights are not installed.
    """
    settings, left_out = settings or GenerationSettings(), list[str]()
    files = choose_files(Path(clips), settings.max_clips)
    texts = clip_prompts(files, prompts)
    seconds = settings.seconds or median_seconds(files)
    tracks, folder = reference_tracks(reference, settings.split), manifest_folder(reference)
    excerpts = spread_excerpts(tracks, len(files), seconds)
    steps = Steps(len(files) + len(excerpts), progress)
    analyzer = _analyzer(settings.embedder)
    analyzed = analyze_files(
        files, texts, seconds, analyzer, settings.clap, tokenizer, left_out, steps
    )
    real = _analyze_reference(analyzer, excerpts, folder, left_out, steps)
    made = tuple(clip.analysis for clip in analyzed)
    own = AnalyzedSet(name="clips", description="what is measured", clips=made)
    sets, coded = [own.compared_to(real)], list[MeasuredSet]()
    if settings.baselines:
        others = baseline_sets(analyzer, excerpts, folder, tokenizer, settings.seed)
        trained = training_sets(analyzer, reference, excerpts, tokenizer, settings.split)
        sets += [one.compared_to(real) for one in (*others, *trained)]
        sets += [] if trained else reference_halves(real)
        coded = coded_sets(own, (*others, *trained))
    return GenerationReport(
        settings=settings,
        seconds=seconds,
        reference=compare_sets(real, real),
        sets=tuple(sets),
        coded=tuple(coded),
        tags=_mean_tags(analyzer.labels, made, real),
        control=_control(analyzer.labels, analyzed, prompts, CONCEPTS, left_out),
        control_msd=_control(MSD_LABELS, analyzed, prompts, MSD_CONCEPTS, left_out),
        clap=_mean_clap(analyzed),
        copies=_copies(files, train, excerpts, folder, tokenizer),
        clips=tuple(_summary(clip, analyzer.labels) for clip in analyzed),
        left_out=tuple(left_out),
    )


def _copies(
    files: Sequence[Path],
    train: str | os.PathLike[str] | None,
    excerpts: Sequence[Excerpt],
    folder: Path,
    tokenizer: Tokenizer | None,
) -> Copies | None:
    if train is None:
        return None
    reference = (audio for _, audio in read_excerpts(excerpts, folder, []))
    return find_copies(files, train, reference, tokenizer)


def _analyze_reference(
    analyzer: ClipAnalyzer,
    excerpts: Sequence[Excerpt],
    folder: Path,
    left_out: list[str],
    steps: Steps,
) -> list[AnalyzedClip]:
    real = []
    for excerpt, audio in read_excerpts(excerpts, folder, left_out):
        real.append(analyzer.analyze(excerpt.track.path, audio))
        steps.one_more()
    if not real:
        raise DataError(f"no clip of the reference could be used; first reason: {left_out[0]}")
    return real


def _analyzer(embedder: str) -> ClipAnalyzer:
    tagger = load_tagger("mtt")
    return ClipAnalyzer(tagger, tagger if embedder == "musicnn" else load_embedder(embedder))


def _mean_clap(analyzed: Sequence[AnalyzedFile]) -> Estimate | None:
    scores = [clip.clap for clip in analyzed if clip.clap is not None]
    return bootstrap_mean(scores) if scores else None


def _mean_tags(
    labels: Sequence[str], made: Sequence[AnalyzedClip], real: Sequence[AnalyzedClip]
) -> dict[str, tuple[float, float]]:
    means = [np.mean([clip.tags for clip in clips], axis=0) for clips in (made, real)]
    return {
        label: (float(means[0][index]), float(means[1][index]))
        for index, label in enumerate(labels)
    }


def _control(
    labels: Sequence[str],
    analyzed: Sequence[AnalyzedFile],
    prompts: Sequence[ControlPrompt] | None,
    concepts: Mapping[str, Sequence[str]],
    left_out: list[str],
) -> TextControl | None:
    """Measure control by the tagger that has these labels."""
    if not prompts:
        return None
    rows = [clip.analysis.tags if concepts is CONCEPTS else clip.msd_tags for clip in analyzed]
    tags = np.stack([row for row in rows if row is not None])
    numbers = [clip.requested.number for clip in analyzed if clip.requested.number is not None]
    wanted = [prompt.concepts for prompt in prompts]
    try:
        return text_control(tags, labels, numbers, wanted, concepts)
    except DataError as error:  # a few prompts of one's own: the rest can still be measured
        left_out.append(f"text control: {error}")
        return None


def _summary(analyzed: AnalyzedFile, labels: Sequence[str]) -> ClipSummary:
    clip = analyzed.analysis
    top = np.argsort(-clip.tags)[:3]
    return ClipSummary(
        name=clip.name,
        prompt=analyzed.requested.text,
        top_tags=tuple(f"{labels[index]} {clip.tags[index]:.2f}" for index in top),
        level_dbfs=clip.sound.level_dbfs,
        movement=clip.sound.movement,
        novelty=clip.sound.novelty,
        silent=clip.sound.is_silent,
        frozen=clip.sound.is_frozen,
    )
