"""Names of chords and keys, and their labels: two for each pitch class, major and minor."""

from __future__ import annotations

import re

from bandtok.errors import ConfigError

NUM_LABELS = 24
"""Labels of chords, and of keys: twice the pitch class of the root (C is 0), plus 1 for minor."""
NO_CHORD = -1
MAX_CHORDS = 1000
_PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_SIGNS = {"": 0, "#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}
_CHORD = re.compile(r"([A-G])([#♯b♭]?)(|m|min|-|maj|M)")
_KEY = re.compile(r"([A-Ga-g])[ -]?(#|♯|b|♭|sharp|flat|)[ -]?(major|minor|maj|min|m|)")
_KEY_IN_PROMPT = re.compile(
    r"\b(?:in|key of|key:)\s+([A-G])[ -]?(#|♯|b|♭|sharp|flat|)[ -]?(major|minor)\b"
)
_MINOR = ("m", "min", "minor", "-")


def parse_chords(chords: str) -> tuple[int, ...]:
    """Return the labels of chords, one per bar; `NO_CHORD` for "N".

    Args:
        chords: major and minor triads such as C, Am, F#m or Bb, in text separated by spaces, commas
            or bar lines.

    Raises:
        ConfigError: if a name is none of these, or there are no chords or too many.
    """
    names = re.split(r"[\s,|]+", chords.strip(" \t\n,|"))
    if not 0 < len(names) <= MAX_CHORDS or not names[0]:
        raise ConfigError(f"got {chords!r:.40}; expected 1 to {MAX_CHORDS} chords such as Am F C G")
    return tuple(_chord(name) for name in names)


def parse_key(key: str) -> int:
    """Return the label of a key such as "A minor", "Am", "C" or "F# major".

    Raises:
        ConfigError: if it is none.
    """
    match = _KEY.fullmatch(key.strip())
    if not match:
        raise ConfigError(f"got key {key!r:.20}; expected one such as A minor, Bb major or F#m")
    return _label(match)


def key_in_prompt(prompt: str) -> int | None:
    """Return the label of the key that a prompt names, as in "a waltz in A minor"; None if none."""
    match = _KEY_IN_PROMPT.search(prompt)
    return _label(match) if match else None


def label_name(label: int) -> str:
    """Return the name of a chord; "N" for none."""
    return "N" if label == NO_CHORD else _NAMES[label // 2] + "m" * (label % 2)


def key_name(label: int) -> str:
    """Return the name of a key, such as "A minor"."""
    return f"{_NAMES[label // 2]} {'minor' if label % 2 else 'major'}"


def _chord(name: str) -> int:
    if name in ("N", "N.C.", "NC"):
        return NO_CHORD
    match = _CHORD.fullmatch(name)
    if not match:
        raise ConfigError(
            f"got chord {name!r:.20}; expected a major or minor triad such as C, Am, F#m or Bb, or "
            "N for none"
        )
    return _label(match)


def _label(match: re.Match[str]) -> int:
    pitch_class = _PITCH_CLASSES[match[1].upper()] + _SIGNS[match[2]]
    # A lower-case letter alone is a minor key by convention.
    minor = match[3] in _MINOR or (match[1].islower() and not match[3])
    return 2 * (pitch_class % 12) + minor
