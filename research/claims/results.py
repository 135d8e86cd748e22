"""The result of an experiment as files: OUT/NAME.json for programs, OUT/NAME.md for readers.

Findings -> OUT/NAME.json, OUT/NAME.md; plots OUT/NAME-x.svg and clips OUT/NAME/x.flac, x.png, x.btk
are written by those who make them. All cells of tables are text. Knows no experiment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bandtok.tokens import atomic

Cells = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: `rows` have as many cells as `columns`."""

    title: str
    columns: Cells
    rows: tuple[Cells, ...]

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), self.title


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Something to listen to.

    Attributes:
        title: what is sound.
        group: what it is to be sound beside: clips of one group belong together.
        system: "original", or which tokens it went through.
        prompt: what it was asked to be, "" for nothing.
        audio, picture, tokens: paths relative to the folder of results; `tokens` is "" for a
            recording.
    """

    title: str
    group: str
    system: str
    prompt: str
    audio: str
    picture: str
    tokens: str


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What an experiment found.

    Attributes:
        answer: to its question, in plain words, with numbers and intervals.
        tables: numbers.
        plots: names of SVG files in the folder of results.
        clips: to listen to.
    """

    answer: str
    tables: tuple[Table, ...]
    plots: tuple[str, ...] = ()
    clips: tuple[Clip, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Result:
    """Findings, and what they are of.

    Attributes:
        name, title, question: of the experiment.
        command: that makes it again.
        minutes: of its trainings and measures, also those it shares with other experiments.
        seeds: of its rows.
        scale: name of the budget.
        findings: what was found.
    """

    name: str
    title: str
    question: str
    command: str
    minutes: float
    seeds: tuple[int, ...]
    scale: str
    findings: Findings


def write_result(result: Result, folder: Path) -> list[Path]:
    """Write NAME.json and NAME.md, atomically, and return both."""
    folder.mkdir(parents=True, exist_ok=True)
    found = asdict(result.findings)
    document = {
        "name": result.name,
        "title": result.title,
        "question": result.question,
        "answer": found["answer"],
        "command": result.command,
        "minutes": round(result.minutes, 1),
        "seeds": list(result.seeds),
        "scale": result.scale,
        "tables": found["tables"],
        "plots": found["plots"],
        "clips": found["clips"],
    }
    files = [folder / f"{result.name}.json", folder / f"{result.name}.md"]
    atomic.write_text(files[0], json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    atomic.write_text(files[1], "\n".join(_page(result)) + "\n")
    return files


def _page(result: Result) -> list[str]:
    found = result.findings
    seeds = ", ".join(str(seed) for seed in result.seeds)
    lines = [
        f"# {result.title}",
        "",
        result.question,
        "",
        found.answer,
        "",
        f"    {result.command}",
        "",
        f"Scale {result.scale}; seeds {seeds}; {result.minutes:.1f} minutes of training and "
        "measuring, those shared with other experiments counted too.",
    ]
    for table in found.tables:
        lines += ["", f"## {table.title}", "", *_markdown(table.columns, table.rows)]
    for plot in found.plots:
        lines += ["", f"![{result.title}]({plot})"]
    if found.clips:
        rows = [
            (c.group, c.system, c.prompt or c.title, f"[listen]({c.audio})", c.picture)
            for c in found.clips
        ]
        shown = [(*row[:-1], f"[picture]({row[-1]})") for row in rows]
        lines += ["", "## To listen to", ""]
        lines += _markdown(("clip", "system", "what", "sound", "picture"), shown)
    return lines


def _markdown(columns: Cells, rows: Sequence[Cells]) -> list[str]:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
