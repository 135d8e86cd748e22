"""Names of chords and keys."""

from __future__ import annotations

import pytest

from bandtok.errors import ConfigError
from bandtok.lm.chords import (
    NO_CHORD,
    NUM_LABELS,
    key_in_prompt,
    key_name,
    label_name,
    parse_chords,
    parse_key,
)


def test_chords_are_read_with_any_separator() -> None:
    expected = (19, 10, 0, 14)
    for text in ("Am F C G", "Am, F,C ,G", "| Am | F | C | G |", "Amin F CM Gmaj", "A- F C G"):
        assert parse_chords(text) == expected


def test_enharmonic_names_are_the_same_chord() -> None:
    assert parse_chords("C# Ebm Fb B♯") == parse_chords("Db D♯m E C")
    assert parse_chords("N N.C. C") == (NO_CHORD, NO_CHORD, 0)


@pytest.mark.parametrize("text", ["", " | ", "H", "Am7", "C/E", "am", "Csus4", "Cdim", "Am F x"])
def test_other_chords_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        parse_chords(text)


def test_too_many_chords_are_refused() -> None:
    with pytest.raises(ConfigError, match="1000"):
        parse_chords("C " * 1001)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("A minor", 19), ("Am", 19), ("a", 19), ("C", 0), ("c major", 0), ("Bb major", 20),
        ("F#m", 13), ("f sharp minor", 13), ("E-flat major", 6), ("Db", 2),
    ],
)  # fmt: skip
def test_keys(text: str, label: int) -> None:
    assert parse_key(text) == label


@pytest.mark.parametrize("text", ["", "H major", "A dorian", "minor", "A minor minor"])
def test_other_keys_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected one such as A minor"):
        parse_key(text)


@pytest.mark.parametrize(
    ("prompt", "label"),
    [
        ("a slow waltz in A minor", 19),
        ("piano in the key of F# major, calm", 12),
        ("an anthem in Bb-major", 20),
        ("a song in minor", None),
        ("guitar in a major venue", None),
        ("major", None),
    ],
)
def test_keys_that_prompts_name(prompt: str, label: int | None) -> None:
    assert key_in_prompt(prompt) == label


def test_names_are_read_back() -> None:
    for label in range(NUM_LABELS):
        assert parse_chords(label_name(label)) == (label,)
        assert parse_key(key_name(label)) == label
    assert label_name(NO_CHORD) == "N"
