"""A folder of results -> one checked record for each experiment.

    RESULTS/NAME.json -> ExperimentRecord

The files may come from elsewhere, so each key is checked, and paths may not leave the folder. Reads
no audio and no picture.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bandtok.errors import DataError

Cell = str | int | float | bool | None
_Item = TypeVar("_Item")

_MAX_BYTES = 16 << 20
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a sign; JSON can name it, UTF-8 cannot hold it


@dataclass(frozen=True, kw_only=True)
class RecordTable:
    """A table: every row has as many cells as there are columns, at least one."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, kw_only=True)
class RecordClip:
    """A sound of an experiment; "" and None if unknown.

    Attributes:
        title: what it is.
        group: clips of one group are shown side by side.
        system: what made it.
        prompt: text it was generated from.
        audio: sound file.
        tokens: token file (.btk) that it was decoded from.
        picture: ready-made picture, shown where no clip of the group has tokens to draw.
    """

    title: str
    group: str
    system: str
    prompt: str
    audio: Path | None
    tokens: Path | None
    picture: Path | None


@dataclass(frozen=True, kw_only=True)
class ExperimentRecord:
    """One NAME.json.

    Attributes:
        name: as in the command that makes it.
        title: heading.
        question, answer: plain text; "" if unknown.
        command: how to repeat it; "" if unknown.
        minutes: that this took; None if unknown.
        seeds: of the runs.
        scale: how large the runs were, in words.
        tables, plots, clips: in the order of the file; plots are SVG or PNG files.
    """

    name: str
    title: str
    question: str
    answer: str
    command: str
    minutes: float | None
    seeds: tuple[int, ...]
    scale: str
    tables: tuple[RecordTable, ...]
    plots: tuple[Path, ...]
    clips: tuple[RecordClip, ...]


def load_records(folder: Path, order: Sequence[str] = ()) -> list[ExperimentRecord]:
    """Read every NAME.json directly in `folder`.

    Args:
        folder: of results.
        order: names of experiments that come first, in this order; the rest by file name.

    Raises:
        DataError: if there is none, or one is damaged or does not fit; the message names the file.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected one with a NAME.json an experiment")
    files = sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))
    if not files:
        raise DataError(f"{folder} holds no NAME.json; expected one for each experiment")
    places = {name: place for place, name in enumerate(order)}
    records = [_load(path) for path in files]
    return sorted(records, key=lambda record: places.get(record.name, len(places)))


def _load(path: Path) -> ExperimentRecord:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES} bytes; expected results")
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is damaged: {error}; expected JSON in UTF-8") from None
    return _Fields(path, "", document).experiment()


def _refuse(name: str) -> float:
    raise ValueError(f"it holds {name}, which is no number")


class _Fields:
    """The keys of one JSON object, read with their types.

    Args:
        path: file it is from, for messages and as the place that paths are relative to.
        where: place of the object in the file, "" for the whole.
        values: what was found there.
    """

    def __init__(self, path: Path, where: str, values: Any) -> None:
        self._path, self._where = path, where
        if not isinstance(values, dict):
            raise self._error("", values, "an object")
        self._values = values

    def experiment(self) -> ExperimentRecord:
        return ExperimentRecord(
            name=self.text("name", needed=True),
            title=self.text("title", needed=True),
            question=self.text("question"),
            answer=self.text("answer"),
            command=self.text("command"),
            minutes=self._minutes(),
            seeds=tuple(self._list("seeds", self._seed)),
            scale=self._scale(),
            tables=tuple(self._list("tables", lambda at, v: self._inner(at, v).table())),
            plots=tuple(self._list("plots", self._file)),
            clips=tuple(self._list("clips", lambda at, v: self._inner(at, v).clip())),
        )

    def table(self) -> RecordTable:
        columns = self._list("columns", self._text)
        if not columns:
            raise self._error("columns", columns, "at least one")
        rows = self._list("rows", self._row)
        for number, row in enumerate(rows):
            if len(row) != len(columns):
                raise self._error(f"rows[{number}]", list(row), f"{len(columns)} cells")
        return RecordTable(title=self.text("title"), columns=tuple(columns), rows=tuple(rows))

    def clip(self) -> RecordClip:
        return RecordClip(
            title=self.text("title"),
            group=self.text("group"),
            system=self.text("system"),
            prompt=self.text("prompt"),
            audio=self._optional_file("audio"),
            tokens=self._optional_file("tokens"),
            picture=self._optional_file("picture"),
        )

    def text(self, key: str, needed: bool = False) -> str:
        value = self._values.get(key)
        if value is None and not needed:
            return ""
        text = self._text(key, value)
        if needed and not text.strip():
            raise self._error(key, value, "a text")
        return text

    def _inner(self, place: str, value: Any) -> _Fields:
        return _Fields(self._path, self._full(place), value)

    def _list(self, key: str, read: Callable[[str, Any], _Item]) -> list[_Item]:
        values = self._values.get(key)
        if values is None:
            return []
        if not isinstance(values, list):
            raise self._error(key, values, "a list")
        return [read(f"{key}[{number}]", value) for number, value in enumerate(values)]

    def _text(self, place: str, value: Any) -> str:
        if not isinstance(value, str) or _SURROGATE.search(value):
            raise self._error(place, value, "a text")
        return value

    def _seed(self, place: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._error(place, value, "a whole number")
        return value

    def _row(self, place: str, value: Any) -> tuple[Cell, ...]:
        cells = value if isinstance(value, list) else [value]
        finite = all(not isinstance(cell, float) or math.isfinite(cell) for cell in cells)
        if cells is not value or not finite or any(isinstance(c, list | dict) for c in cells):
            raise self._error(place, value, "a list of texts and finite numbers")
        return tuple(cells)

    def _minutes(self) -> float | None:
        value = self._values.get("minutes")
        if value is None:
            return None
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or not 0 <= value < math.inf:
            raise self._error("minutes", value, "a number of at least 0")
        return float(value)

    def _scale(self) -> str:
        value = self._values.get("scale")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{value:g}"
        return self.text("scale")

    def _optional_file(self, key: str) -> Path | None:
        value = self._values.get(key)
        return None if value in (None, "") else self._file(key, value)

    def _file(self, place: str, value: Any) -> Path:
        """Return the path of a file inside the folder, whether it is there or not."""
        text, root = self._text(place, value), self._path.parent.resolve()
        if not text or "\0" in text:
            raise self._error(place, value, "the path of a file")
        path = (root / text).resolve()
        if not path.is_relative_to(root) or path == root:
            raise self._error(place, value, f"the path of a file inside {self._path.parent}")
        return path

    def _full(self, place: str) -> str:
        return ".".join(name for name in (self._where, place) if name)

    def _error(self, place: str, value: Any, expected: str) -> DataError:
        where = f" for {self._full(place)}" if self._full(place) else ""
        got = "nothing" if value is None else repr(value)
        return DataError(f"{self._path}: got {got[:80]}{where}; expected {expected}")
