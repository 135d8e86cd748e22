"""Attributes of windows: contradictions are removed, titles cleaned."""

from __future__ import annotations

import numpy as np

from bandtok.data.caption_templates import SYNONYMS, opposites_of
from bandtok.data.window_attributes import Attribute, clean_title, consistent


def test_of_contradictions_the_surer_stays() -> None:
    attributes = [
        Attribute(kind="mood", word="calm", weight=0.5),
        Attribute(kind="mood", word="aggressive", weight=0.9),
        Attribute(kind="tempo", word="slow", weight=0.4),
        Attribute(kind="tempo", word="fast", weight=0.8),
    ]
    assert [item.word for item in consistent(attributes)] == ["aggressive", "fast"]


def test_contradictions_are_never_said() -> None:
    rng = np.random.default_rng(1)
    words = ["calm", "slow", "fast", "loud", "soft", "happy", "sad", "drums", "no drums", "techno"]
    for _ in range(200):
        attributes = [
            Attribute(kind="mood", word=word, weight=float(rng.uniform(0.1, 1)))
            for word in rng.choice(words, 6)
        ]
        kept = {item.word for item in consistent(attributes)}
        assert kept
        assert not any(opposites_of(word) & kept for word in kept)


def test_ruling_out_goes_both_ways() -> None:
    for word in SYNONYMS:
        assert all(word in opposites_of(other) for other in opposites_of(word))


def test_titles_that_say_nothing_are_left_out() -> None:
    for empty in ("track11", "Track 07", "music005", " ", "03", "Untitled"):
        assert clean_title(empty) == ""
    for title in ("Town", "Track of the fox", "arctic_breeze"):
        assert clean_title(title) == " ".join(title.split("_"))
