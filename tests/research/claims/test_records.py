"""Result files: what is read, and that a damaged one is named in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bandtok.errors import DataError
from research.claims.records import load_records

WHOLE = {
    "name": "reconstruction",
    "title": "Equal bit rate",
    "question": "Which is better?",
    "answer": "Neither.",
    "command": "python -m research.claims reconstruction",
    "minutes": 12.5,
    "seeds": [0, 1],
    "scale": "small",
    "tables": [{"title": "T", "columns": ["a", "b"], "rows": [["x", 1], [None, 2.5]]}],
    "plots": ["reconstruction-a.svg"],
    "clips": [
        {
            "title": "t",
            "group": "g",
            "system": "band",
            "prompt": "p",
            "audio": "r/x.flac",
        },
        {"picture": "r/x.png", "tokens": "r/x.btk", "audio": ""},
    ],
    "something": "new",
}


def write(folder: Path, document: Any, name: str = "a.json") -> Path:
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_whole_record(tmp_path: Path) -> None:
    (record,) = load_records(write(tmp_path, WHOLE))
    assert (record.name, record.title, record.scale) == (
        "reconstruction",
        "Equal bit rate",
        "small",
    )
    assert (record.minutes, record.seeds) == (12.5, (0, 1))
    (table,) = record.tables
    assert (table.columns, table.rows) == (("a", "b"), (("x", 1), (None, 2.5)))
    assert record.plots == (tmp_path / "reconstruction-a.svg",)
    first, second = record.clips
    assert (first.group, first.system, first.prompt) == ("g", "band", "p")
    assert first.audio == tmp_path / "r" / "x.flac"
    assert (first.tokens, first.picture) == (None, None)
    assert second.audio is None
    assert second.tokens == tmp_path / "r" / "x.btk"


def test_all_but_name_and_title_may_be_missing(tmp_path: Path) -> None:
    write(tmp_path, {"name": "b", "title": "B", "minutes": None, "clips": None}, "b.json")
    write(tmp_path, {"name": "a", "title": "A", "scale": 0.5}, "a.json")
    write(tmp_path, "not JSON", ".hidden.json")
    first, second = load_records(tmp_path)
    assert (first.name, first.scale, second.name) == ("a", "0.5", "b")
    write(tmp_path, {"name": "c", "title": "C"}, "c.json")
    ordered = load_records(tmp_path, ["c", "x", "b"])
    assert [record.name for record in ordered] == ["c", "b", "a"]
    assert (second.minutes, second.seeds, second.clips, second.tables) == (None, (), (), ())


BASE = {"name": "a", "title": "A"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "is damaged"),
        ('{"name": "a", "title"', "is damaged"),
        ('{"name": "a", "title": "A", "minutes": NaN}', "holds NaN"),
        ("[" * 100_000, "is damaged"),
        ([], "got \\[\\]; expected an object"),
        ({"title": "A"}, "got nothing for name; expected a text"),
        ({"name": "a", "title": "  "}, "for title; expected a text"),
        ({"name": "a", "title": 3}, "got 3 for title; expected a text"),
        ({**BASE, "answer": ["x"]}, "for answer; expected a text"),
        ({**BASE, "answer": "half a sign \ud800"}, "for answer; expected a text"),
        ({**BASE, "minutes": -1}, "for minutes; expected a number"),
        ({**BASE, "minutes": True}, "for minutes; expected a number"),
        ({**BASE, "seeds": 3}, "got 3 for seeds; expected a list"),
        ({**BASE, "seeds": [0, "1"]}, r"for seeds\[1\]; expected a whole number"),
        ({**BASE, "tables": [[]]}, r"for tables\[0\]; expected an object"),
        ({**BASE, "tables": [{"rows": []}]}, r"for tables\[0\].columns; expected at least one"),
        (
            {**BASE, "tables": [{"columns": ["a"], "rows": [[1], [1, 2]]}]},
            r"for tables\[0\].rows\[1\]; expected 1 cells",
        ),
        (
            {**BASE, "tables": [{"columns": ["a"], "rows": [[{}]]}]},
            r"for tables\[0\].rows\[0\]; expected a list of texts",
        ),
        (
            '{"name": "a", "title": "A", "tables": [{"columns": ["a"], "rows": [[1e999]]}]}',
            r"for tables\[0\].rows\[0\]; expected a list of texts and finite",
        ),
        ({**BASE, "plots": ["../a.svg"]}, r"for plots\[0\]; expected the path of a file inside"),
        ({**BASE, "plots": ["/etc/passwd"]}, r"for plots\[0\]; expected the path of a file inside"),
        ({**BASE, "plots": [""]}, r"for plots\[0\]; expected the path"),
        ({**BASE, "clips": [{"audio": "x/../../y"}]}, r"for clips\[0\].audio; expected the path"),
        ({**BASE, "clips": [{"audio": 1}]}, r"got 1 for clips\[0\].audio; expected a text"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, document: Any, message: str) -> None:
    write(tmp_path, document)
    with pytest.raises(DataError, match=message) as caught:
        load_records(tmp_path)
    assert str(tmp_path / "a.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    (tmp_path / "secret.svg").write_text("<svg/>")
    (folder / "a.svg").symlink_to(tmp_path / "secret.svg")
    with pytest.raises(DataError, match="inside"):
        load_records(write(folder, {**BASE, "plots": ["a.svg"]}))


def test_bytes_that_are_no_text_and_folders_without_results(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no NAME\.json"):
        load_records(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        load_records(tmp_path / "none")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is damaged"):
        load_records(tmp_path)
