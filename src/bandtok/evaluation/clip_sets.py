"""Clips as evaluators measure them, and one set of clips compared with another.

    Audio -> AnalyzedClip;  two lists of AnalyzedClip -> SetMeasures

Knows nothing of files, prompts or tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import DataError
from bandtok.evaluation.embedders import Embedder
from bandtok.evaluation.frechet import MIN_SAMPLES, Frechet, frechet_distance
from bandtok.evaluation.long_clips import ClipDrift, SetDrift, clip_drift, set_drift
from bandtok.evaluation.precision_recall import NEAREST, Coverage, coverage, diversity
from bandtok.evaluation.signal_statistics import SignalStatistics, measure_signal
from bandtok.evaluation.statistics import Estimate, bootstrap_mean
from bandtok.evaluation.tag_measures import tag_divergence
from bandtok.signal.audio import Audio
from bandtok.tagger import Tagger

_RESAMPLES = 40


@dataclass(frozen=True, kw_only=True)
class AnalyzedClip:
    """Measurements of one clip.

    Attributes:
        name: of its file.
        tags: MTT probabilities [50], averaged over its windows.
        embeddings: [windows, dim].
        sound: level, movement and the like.
        drift: its end compared with its beginning; None of a short clip.
    """

    name: str
    tags: np.ndarray
    embeddings: np.ndarray
    sound: SignalStatistics
    drift: ClipDrift | None = None


@dataclass(frozen=True, kw_only=True)
class SetMeasures:
    """One set of clips compared with the reference.

    Attributes:
        clips: in the set.
        frechet: distance of the embeddings, at the smaller set's number of windows; None if there
            are too few.
        frechet_error: its standard error, from resampled clips of both sets.
        tag_divergence: Kullback-Leibler divergence of the mean tags from the reference's, nats.
        coverage: of the reference, by clips' mean embeddings at the smaller set's number of clips;
            None if there are too few.
        diversity: mean distance of two clips' mean embeddings, over the reference's; None for
            fewer than two clips.
        level_dbfs, onsets_per_second, movement, novelty, continuity, attack: means over clips; see
            SignalStatistics.
        silent, frozen: clips that are mostly so.
        drift: of the long clips; None if there are none.
    """

    clips: int
    frechet: Frechet | None
    frechet_error: float | None
    tag_divergence: float
    coverage: Coverage | None
    diversity: float | None
    level_dbfs: Estimate
    onsets_per_second: Estimate
    movement: Estimate
    novelty: Estimate
    continuity: Estimate
    attack: Estimate
    silent: int
    frozen: int
    drift: SetDrift | None


class ClipAnalyzer:
    """The MTT tagger, and an embedder that may be the same.

    Args:
        tagger: gives tags.
        embedder: gives embeddings.
    """

    def __init__(self, tagger: Tagger, embedder: Embedder) -> None:
        self._tagger, self._embedder = tagger, embedder
        self.labels = tagger.labels

    def analyze(self, name: str, audio: Audio) -> AnalyzedClip:
        """Measure one clip of at least half a second.

        Raises:
            AudioError: if it is shorter.
        """
        samples = audio.mono().waveform[0]
        sound = measure_signal(audio)
        windows = self._tagger.predict(samples, audio.sample_rate)
        own = self._embedder is self._tagger
        return AnalyzedClip(
            name=name,
            tags=windows.tags.mean(axis=0),
            embeddings=windows.embeddings if own else self._embed(audio),
            sound=sound,
            drift=clip_drift(audio, self._embed),
        )

    def _embed(self, audio: Audio) -> np.ndarray:
        return self._embedder.embed(audio.mono().waveform[0], audio.sample_rate)


def compare_sets(
    reference: Sequence[AnalyzedClip], made: Sequence[AnalyzedClip], min_samples: int = MIN_SAMPLES
) -> SetMeasures:
    """Compare a set of clips with a reference set.

    Raises:
        DataError: if either set is empty.
    """
    if not reference or not made:
        raise DataError(f"got {len(reference)} reference clips and {len(made)} clips; expected any")
    frechet, error = _frechet(reference, made, min_samples)
    means = [
        np.stack([clip.embeddings.mean(axis=0) for clip in clips]) for clips in (reference, made)
    ]
    equal = _equally_many(*means)
    return SetMeasures(
        clips=len(made),
        frechet=frechet,
        frechet_error=error,
        tag_divergence=tag_divergence(
            np.stack([clip.tags for clip in reference]), np.stack([clip.tags for clip in made])
        ),
        coverage=coverage(*equal) if len(equal[0]) > NEAREST else None,
        diversity=_relative_diversity(*means),
        level_dbfs=_mean_over(made, lambda sound: sound.level_dbfs),
        onsets_per_second=_mean_over(made, lambda sound: sound.onsets_per_second),
        movement=_mean_over(made, lambda sound: sound.movement),
        novelty=_mean_over(made, lambda sound: sound.novelty),
        continuity=_mean_over(made, lambda sound: sound.continuity),
        attack=_mean_over(made, lambda sound: sound.attack),
        silent=sum(clip.sound.is_silent for clip in made),
        frozen=sum(clip.sound.is_frozen for clip in made),
        drift=set_drift([clip.drift for clip in made]),
    )


def _frechet(
    reference: Sequence[AnalyzedClip], made: Sequence[AnalyzedClip], min_samples: int
) -> tuple[Frechet | None, float | None]:
    windows = min(sum(len(clip.embeddings) for clip in clips) for clips in (reference, made))
    if windows < min_samples:
        return None, None
    whole = frechet_distance(*_windows(reference, made), min_samples)
    generator = np.random.default_rng(0)
    resampled = [
        frechet_distance(
            *_windows(*(_resampled(clips, generator) for clips in (reference, made))), min_samples=2
        ).distance
        for _ in range(_RESAMPLES)
    ]
    return whole, float(np.std(resampled, ddof=1))


def _resampled(clips: Sequence[AnalyzedClip], generator: np.random.Generator) -> list[AnalyzedClip]:
    return [clips[index] for index in generator.integers(0, len(clips), len(clips))]


def _windows(
    reference: Sequence[AnalyzedClip], made: Sequence[AnalyzedClip]
) -> tuple[np.ndarray, np.ndarray]:
    first, second = (
        np.concatenate([clip.embeddings for clip in clips]) for clips in (reference, made)
    )
    return _equally_many(first, second)


def _equally_many(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thin the larger of two sets evenly until both are of one size."""
    count = min(len(first), len(second))
    return _thinned(first, count), _thinned(second, count)


def _thinned(rows: np.ndarray, count: int) -> np.ndarray:
    result: np.ndarray = rows[((np.arange(count) + 0.5) * len(rows) / count).astype(int)]
    return result


def _relative_diversity(reference: np.ndarray, made: np.ndarray) -> float | None:
    if min(len(reference), len(made)) < 2:
        return None
    whole = diversity(reference)
    return diversity(made) / whole if whole > 0 else None


def _mean_over(
    clips: Sequence[AnalyzedClip], value: Callable[[SignalStatistics], float]
) -> Estimate:
    return bootstrap_mean([value(clip.sound) for clip in clips])
