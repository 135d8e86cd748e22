"""What tag probabilities say of a set of clips: their difference from another set's, and whether
clips whose prompt requests a tag have more of it than those whose prompt does not.

    tags [clips, labels] -> divergence;  tags and wanted tags -> areas under the ROC curve
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import DataError

_RESAMPLES = 1_000
_LEAST = 1e-6
MIN_PROMPTS = 6


@dataclass(frozen=True, kw_only=True)
class Area:
    """An area under the ROC curve; .5 is chance, 1 is perfect.

    Attributes:
        area: of all clips.
        low, high: what holds 95 % of its bootstrap resamples over prompts.
        requested: clips whose prompt requests it.
    """

    area: float
    low: float
    high: float
    requested: int


@dataclass(frozen=True, kw_only=True)
class TextControl:
    """How well clips follow the tags of their prompts.

    Attributes:
        mean: over the tags.
        tags: by tag.
        clips: clips measured.
        prompts: prompts they came from.
    """

    mean: Area
    tags: dict[str, Area]
    clips: int
    prompts: int


def tag_divergence(reference: np.ndarray, made: np.ndarray) -> float:
    """Return the Kullback-Leibler divergence of the mean tag probabilities, in nats.

    Args:
        reference, made: probabilities [clips, labels]. The means are scaled to add up to 1; the
            divergence is that of `made` from `reference`.

    Raises:
        DataError: if a set is empty or the labels differ in number.
    """
    if not len(reference) or not len(made) or reference.shape[1:] != made.shape[1:]:
        raise DataError(
            f"got tags of shapes {reference.shape} and {made.shape}; expected [clips, labels] "
            "with at least one clip each"
        )
    first, second = (_shares(values) for values in (reference, made))
    return float((first * np.log(first / second)).sum())


def area_under_curve(scores: np.ndarray, requested: np.ndarray) -> float:
    """Return the probability that a requested clip scores higher than another; a tie counts half.

    Args:
        scores: [n].
        requested: bool [n], with both kinds among them.

    Raises:
        DataError: if all or none were requested.
    """
    positives, negatives = int(requested.sum()), int((~requested).sum())
    if not positives or not negatives:
        raise DataError(
            f"got {positives} requested and {negatives} others; expected at least one of each"
        )
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float(
        (ranks[requested].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    )


def text_control(
    tags: np.ndarray,
    labels: Sequence[str],
    prompts: Sequence[int],
    wanted: Sequence[Sequence[str]],
    concepts: Mapping[str, Sequence[str]],
    *,
    min_prompts: int = MIN_PROMPTS,
    seed: int = 0,
) -> TextControl:
    """Measure clips by the tags that their prompts ask for.

    Args:
        tags: probabilities [clips, labels].
        labels: their names.
        prompts: the index of each clip's prompt.
        wanted: the concepts that each prompt requests.
        concepts: tag names that count as one, by concept; their mean probability is its score.
        min_prompts: least number of prompts with, and without, a concept that is measured.
        seed: of the resampling.

    Raises:
        DataError: if the lengths do not agree or no concept can be measured.
    """
    if len(tags) != len(prompts) or (len(prompts) and max(prompts) >= len(wanted)):
        raise DataError(
            f"got {len(tags)} clips, {len(prompts)} prompt numbers up to "
            f"{max(prompts, default=-1)} and {len(wanted)} prompts; expected them to agree"
        )
    numbers = np.asarray(prompts, dtype=np.int64)
    present = np.unique(numbers)
    scores, requested = {}, {}
    for name, members in concepts.items():
        with_it = np.array([name in wanted[number] for number in present])
        if min(with_it.sum(), (~with_it).sum()) < min_prompts:
            continue
        scores[name] = tags[:, [labels.index(member) for member in members]].mean(axis=1)
        requested[name] = np.isin(numbers, present[with_it])
    if not scores:
        raise DataError(
            f"no tag is requested by at least {min_prompts} of {len(present)} prompts; "
            "use more prompts"
        )
    areas = {name: area_under_curve(scores[name], requested[name]) for name in scores}
    resampled = _resampled(scores, requested, numbers, seed)
    found = {
        name: _area(areas[name], resampled[name], int(requested[name].sum())) for name in scores
    }
    mean = _area(
        float(np.mean(list(areas.values()))),
        _mean_by_resample(np.stack([resampled[name] for name in scores])),
        int(sum(requested[name].sum() for name in scores)),
    )
    return TextControl(mean=mean, tags=found, clips=len(tags), prompts=len(present))


def _resampled(
    scores: dict[str, np.ndarray], requested: dict[str, np.ndarray], numbers: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Return areas [resamples] by concept; NaN where a resample has all or none requested."""
    generator = np.random.default_rng(seed)
    present, place = np.unique(numbers, return_inverse=True)
    members = [np.flatnonzero(place == index) for index in range(len(present))]
    areas = {name: np.full(_RESAMPLES, np.nan) for name in scores}
    for number in range(_RESAMPLES):
        sampled = generator.integers(0, len(present), len(present))
        clips = np.concatenate([members[index] for index in sampled])
        for name, values in scores.items():
            chosen = requested[name][clips]
            if 0 < chosen.sum() < len(chosen):
                areas[name][number] = area_under_curve(values[clips], chosen)
    return areas


def _mean_by_resample(areas: np.ndarray) -> np.ndarray:
    """Average [concepts, resamples] over the concepts that each resample has."""
    usable = areas[:, np.isfinite(areas).any(axis=0)]
    means: np.ndarray = np.nanmean(usable, axis=0)
    return means


def _area(area: float, resampled: np.ndarray, requested: int) -> Area:
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return Area(area=area, low=float(low), high=float(high), requested=requested)


def _shares(tags: np.ndarray) -> np.ndarray:
    mean = tags.astype(np.float64).mean(axis=0).clip(min=_LEAST)
    shares: np.ndarray = mean / mean.sum()
    return shares
