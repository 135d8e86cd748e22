"""Messages of errors are one line that a terminal can show."""

from __future__ import annotations

import pickle

import pytest

from bandtok import errors
from bandtok.errors import AudioError, BandTokError, MissingDependency, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain Übung №1 日本", "plain Übung №1 日本"),
        ("two\nlines\tand\u2028three", "two lines and three"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\udcff\u202e", "\\udcff\\u202e"),
        ("", ""),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert str(AudioError(text)) == shown


def test_every_error_keeps_its_base_and_survives_pickling() -> None:
    found = [c for c in vars(errors).values() if isinstance(c, type)]
    classes = [c for c in found if not issubclass(c, Warning)]
    assert len(classes) > 10
    for kind in classes:
        assert issubclass(kind, BandTokError)
        copy = pickle.loads(pickle.dumps(kind("a\nb")))
        assert (type(copy), str(copy)) == (kind, "a b")
    assert isinstance(MissingDependency("x"), ImportError)
