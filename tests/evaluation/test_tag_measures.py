"""Tag measures: divergence, areas under curves, and whether clips follow their prompts."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import DataError
from bandtok.evaluation.tag_measures import area_under_curve, tag_divergence, text_control

LABELS = ("drums", "beat", "piano")
CONCEPTS = {"drums": ("drums", "beat"), "piano": ("piano",)}


def test_a_set_does_not_diverge_from_itself_and_a_gain_does_not_matter() -> None:
    tags = np.random.default_rng(0).random((9, 50))
    assert tag_divergence(tags, tags) == pytest.approx(0, abs=1e-12)
    assert tag_divergence(tags, tags / 2) == pytest.approx(0, abs=1e-12)
    assert tag_divergence(tags, tags[:, ::-1]) > 0


def test_divergence_by_hand() -> None:
    reference, made = np.array([[0.5, 0.5]]), np.array([[0.2, 0.8]])
    expected = 0.5 * np.log(0.5 / 0.2) + 0.5 * np.log(0.5 / 0.8)
    assert tag_divergence(reference, made) == pytest.approx(expected)
    assert np.isfinite(tag_divergence(reference, np.array([[0.0, 1.0]])))
    with pytest.raises(DataError):
        tag_divergence(reference, made[:0])


def test_area_counts_pairs() -> None:
    generator = np.random.default_rng(1)
    scores = generator.integers(0, 5, 40).astype(float)  # with ties
    requested = generator.random(40) < 0.4
    wins = [
        (high > low) + 0.5 * (high == low)
        for high in scores[requested]
        for low in scores[~requested]
    ]
    assert area_under_curve(scores, requested) == pytest.approx(np.mean(wins))
    assert area_under_curve(-scores, requested) == pytest.approx(1 - np.mean(wins))
    assert area_under_curve(requested.astype(float), requested) == 1
    with pytest.raises(DataError, match="at least one of each"):
        area_under_curve(scores, np.ones(40, bool))


def following(
    strength: float, per_prompt: int = 1
) -> tuple[np.ndarray, list[int], list[list[str]]]:
    generator = np.random.default_rng(2)
    wanted = [["drums"] if i % 2 else ["piano"] for i in range(40)]
    prompts = [i for i in range(40) for _ in range(per_prompt)]
    tags = generator.random((len(prompts), 3))
    for row, number in enumerate(prompts):
        tags[row, [0, 1] if wanted[number] == ["drums"] else [2]] += strength
    return tags, prompts, wanted


def test_clips_that_follow_their_prompts_are_told_from_those_that_do_not() -> None:
    obedient = text_control(following(2.0)[0], LABELS, *following(2.0)[1:], CONCEPTS)
    assert obedient.mean.area == 1
    deaf = text_control(following(0.0)[0], LABELS, *following(0.0)[1:], CONCEPTS)
    assert deaf.mean.low < 0.5 < deaf.mean.high
    some = text_control(following(0.3)[0], LABELS, *following(0.3)[1:], CONCEPTS)
    assert 0.5 < some.mean.low < some.mean.area < some.mean.high < 1
    assert some.tags["drums"].requested == 20
    assert (some.clips, some.prompts) == (40, 40)


def test_clips_of_one_prompt_are_drawn_together() -> None:
    tags, prompts, wanted = following(0.3)
    single = text_control(tags, LABELS, prompts, wanted, CONCEPTS)
    doubled = text_control(
        np.repeat(tags, 4, axis=0), LABELS, list(np.repeat(prompts, 4)), wanted, CONCEPTS
    )
    assert doubled.mean.area == pytest.approx(single.mean.area)
    width = single.mean.high - single.mean.low
    assert doubled.mean.high - doubled.mean.low == pytest.approx(width, rel=0.2)


def test_rare_concepts_are_left_out() -> None:
    tags, prompts, wanted = following(1.0)
    wanted = [*wanted[:35], *[["rare"]] * 5]
    found = text_control(tags, LABELS, prompts, wanted, {**CONCEPTS, "rare": ("piano",)})
    assert set(found.tags) == {"drums", "piano"}
    with pytest.raises(DataError, match="no tag"):
        text_control(tags, LABELS, prompts, [[]] * 40, CONCEPTS)
    with pytest.raises(DataError, match="agree"):
        text_control(tags, LABELS, [*prompts[:-1], 99], wanted, CONCEPTS)
