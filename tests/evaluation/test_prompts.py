"""Prompts: the fixed set is balanced and means what it says; negations are heard."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bandtok.errors import DataError
from bandtok.evaluation.prompts import (
    CONCEPTS,
    MSD_CONCEPTS,
    PROMPT_SETS,
    load_prompts,
    named_prompts,
    prompt_numbers,
    requested_concepts,
)
from bandtok.evaluation.tag_measures import MIN_PROMPTS
from bandtok.tagger import MSD_LABELS, MTT_LABELS


def test_concepts_hold_every_tag_of_the_judge_once() -> None:
    assert sorted(tag for tags in CONCEPTS.values() for tag in tags) == sorted(MTT_LABELS)


def test_the_fixed_set_is_large_varied_and_balanced() -> None:
    prompts = named_prompts("bundled")
    texts = [prompt.text for prompt in prompts]
    assert len(texts) == len(set(texts)) >= 120
    assert all(3 <= len(text.split()) <= 25 for text in texts)
    counts = Counter(name for prompt in prompts for name in prompt.concepts)
    assert set(counts) <= {*CONCEPTS, *MSD_CONCEPTS}
    assert min(counts[name] for name in CONCEPTS) >= MIN_PROMPTS
    assert max(counts.values()) < len(prompts) / 3
    assert len({word for text in texts for word in text.split()}) > 300


@pytest.mark.parametrize("name", PROMPT_SETS)
def test_what_is_listed_is_what_is_asked_for(name: str) -> None:
    for prompt in named_prompts(name):
        assert prompt.concepts == requested_concepts(prompt.text), prompt.text


def test_the_musiccaps_set_is_of_200_attributed_descriptions() -> None:
    lines = PROMPT_SETS["musiccaps"].read_text(encoding="utf-8").splitlines()
    assert "MusicCaps" in lines[0]
    assert "CC BY-SA 4.0" in "".join(lines[:3])
    prompts = named_prompts("musiccaps")
    assert len({prompt.text for prompt in prompts}) == 200
    counts = Counter(name for prompt in prompts for name in prompt.concepts)
    assert sum(counts[name] >= MIN_PROMPTS for name in CONCEPTS) >= 15
    assert sum(counts[name] >= MIN_PROMPTS for name in MSD_CONCEPTS) >= 10


def test_msd_concepts_are_tags_of_its_tagger() -> None:
    tags = [tag for tags in MSD_CONCEPTS.values() for tag in tags]
    assert len(set(tags)) == len(tags)
    assert set(tags) <= set(MSD_LABELS)


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        ("slow Piano with no drums", ["piano", "slow"]),
        ("techno without any singing", ["no vocals", "techno"]),
        ("piano without violin or guitar", ["piano"]),
        ("not too fast, not loud", []),
        ("a harpsichord", ["harpsichord"]),
        ("a rocking chair and a metallic popping sound", []),
        ("two harps", ["harp"]),
        ("instrumental synthwave beats", ["beat", "no vocals", "synth"]),
        ("a female choir", ["choir", "female", "vocals"]),
        ("rock with no female vocals", ["no vocals", "rock"]),
        ("a mellow e-guitar, uptempo and melancholic", ["fast", "guitar", "mellow", "sad"]),
        ("a house by the sea; deep house music", ["house"]),
        ("music", []),
    ],
)
def test_words_are_found_and_negations_heard(text: str, concepts: list[str]) -> None:
    assert list(requested_concepts(text)) == concepts


def test_prompts_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("slow piano\n\n  loud metal \n", encoding="utf-8")
    assert [(p.text, p.concepts) for p in load_prompts(file)] == [
        ("slow piano", ("piano", "slow")),
        ("loud metal", ("loud", "metal")),
    ]
    file.write_text("\n")
    with pytest.raises(DataError, match="no prompt"):
        load_prompts(file)
    with pytest.raises(DataError, match="cannot read"):
        load_prompts(tmp_path / "absent.txt")
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot read"):
        load_prompts(file)


def test_clips_find_their_prompts() -> None:
    assert prompt_numbers(["001-a-1.wav", "001-a-2.wav", "003-c.wav"], 3) == [0, 0, 2]
    assert prompt_numbers(["a.wav", "b.wav"], 2) == [0, 1]
    for names, count in (
        (["a.wav"], 2),
        (["001-a.wav", "004-b.wav"], 3),
        (["001.wav", "b.wav"], 3),
    ):
        with pytest.raises(DataError, match="begin with the prompt's number"):
            prompt_numbers(names, count)
