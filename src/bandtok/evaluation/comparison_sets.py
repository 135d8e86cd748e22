"""Sets of clips that generated music is compared with: noise, reordered tokens, real music."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import load_manifest, manifest_folder
from bandtok.evaluation.baselines import NOISE, TOKEN_BASELINES, noise_like, reordered
from bandtok.evaluation.clip_files import (
    has_manifest,
    read_excerpts,
    spread_excerpts,
)
from bandtok.evaluation.clip_sets import AnalyzedClip, ClipAnalyzer, SetMeasures, compare_sets
from bandtok.evaluation.excerpts import Excerpt

_CODED_REFERENCE, _CODED_TRAIN = TOKEN_BASELINES[0].name, "tokens, train"


@dataclass(frozen=True, kw_only=True)
class MeasuredSet:
    """One row of the table.

    Attributes:
        name, description: what the clips are.
        measures: compared with the reference.
    """

    name: str
    description: str
    measures: SetMeasures


@dataclass(frozen=True, kw_only=True)
class AnalyzedSet:
    """Clips that will be a row of a table."""

    name: str
    description: str
    clips: Sequence[AnalyzedClip]

    def compared_to(self, reference: Sequence[AnalyzedClip]) -> MeasuredSet:
        """Return its measures against a reference set."""
        return MeasuredSet(
            name=self.name,
            description=self.description,
            measures=compare_sets(reference, self.clips),
        )


def baseline_sets(
    analyzer: ClipAnalyzer,
    excerpts: Sequence[Excerpt],
    folder: Path,
    tokenizer: Tokenizer | None,
    seed: int,
) -> list[AnalyzedSet]:
    """Make noise of reference excerpts and, with a tokenizer, reorder their tokens."""
    kinds = (NOISE, *(TOKEN_BASELINES if tokenizer else ()))
    analyzed: dict[str, list[AnalyzedClip]] = {kind.name: [] for kind in kinds}
    generator = np.random.default_rng(seed)
    for excerpt, audio in read_excerpts(excerpts, folder, []):
        name = excerpt.track.path
        analyzed[NOISE.name].append(analyzer.analyze(name, noise_like(audio, generator)))
        if tokenizer is None:
            continue
        grid = tokenizer.encode(audio)
        for kind in TOKEN_BASELINES:
            assert kind.reorder is not None
            sound = reordered(grid, kind.reorder, tokenizer, generator)
            analyzed[kind.name].append(analyzer.analyze(name, sound))
    return [
        AnalyzedSet(name=kind.name, description=kind.description, clips=analyzed[kind.name])
        for kind in kinds
    ]


def training_sets(
    analyzer: ClipAnalyzer,
    reference: str | os.PathLike[str],
    excerpts: Sequence[Excerpt],
    tokenizer: Tokenizer | None,
    split: str | None,
) -> list[AnalyzedSet]:
    """Analyze training tracks of the same corpus, as they are and through the tokenizer.

    As many excerpts as the reference's, of their length; none if the reference is no corpus, or
    is its training tracks.
    """
    if not has_manifest(reference) or split in (None, "train"):
        return []
    tracks = load_manifest(reference, ("train",))
    analyzed: list[AnalyzedClip] = []
    coded: list[AnalyzedClip] = []
    seconds = max(excerpt.seconds for excerpt in excerpts)
    chosen = spread_excerpts(tracks, len(excerpts), seconds) if tracks else []
    for excerpt, audio in read_excerpts(chosen, manifest_folder(reference), []):
        analyzed.append(analyzer.analyze(excerpt.track.path, audio))
        if tokenizer is not None:
            sound = tokenizer.decode(tokenizer.encode(audio))
            coded.append(analyzer.analyze(excerpt.track.path, sound))
    description = "real music: excerpts of the corpus's training tracks"
    coded_description = "the same through the tokenizer: music of that kind as codes can hold it"
    found = (
        AnalyzedSet(name="real, train", description=description, clips=analyzed),
        AnalyzedSet(name=_CODED_TRAIN, description=coded_description, clips=coded),
    )
    return [one for one in found if one.clips]


def reference_halves(real: Sequence[AnalyzedClip]) -> list[MeasuredSet]:
    """Measure one half of the reference against the other."""
    if len(real) < 2:
        return []
    description = "real music: every other reference clip against the rest, at half the number"
    return [
        AnalyzedSet(name="real, halves", description=description, clips=real[1::2]).compared_to(
            real[::2]
        )
    ]


def coded_sets(own: AnalyzedSet, baselines: Sequence[AnalyzedSet]) -> list[MeasuredSet]:
    """Measure clips and training music against the reference through the tokenizer, if any."""
    named = {one.name: one for one in baselines}
    if _CODED_REFERENCE not in named:
        return []
    trained = [named[_CODED_TRAIN]] if _CODED_TRAIN in named else []
    reference = named[_CODED_REFERENCE].clips
    return [one.compared_to(reference) for one in (own, *trained)]
