"""One way to write down what a long check found: a Markdown section with its command."""

from __future__ import annotations

import functools
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

import bandtok
from bandtok.tokens.atomic import write_text


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table with the command that made it.

    Attributes:
        title: heading.
        command: what to run to get it again.
        columns, rows: the table, as text.
        note: one or more sentences below it.
    """

    title: str
    command: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def markdown(section: Section) -> str:
    """Return the section as Markdown."""
    lines = [
        f"# {section.title}",
        "",
        f"`{section.command}`, {datetime.now(UTC):%Y-%m-%d}, bundled weights `{fingerprint()}`",
        "",
        "| " + " | ".join(section.columns) + " |",
        "|" + " --- |" * len(section.columns),
        *("| " + " | ".join(row) + " |" for row in section.rows),
    ]
    if section.note:
        lines += ["", section.note]
    return "\n".join(lines) + "\n"


def write_section(section: Section, path: Path | None) -> None:
    """Write the section to `path`, or to stdout if there is none."""
    if path is None:
        sys.stdout.write(markdown(section))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, markdown(section))


@functools.cache
def fingerprint() -> str:
    """Return the beginning of the fingerprint of the bundled tokenizer."""
    return bandtok.Tokenizer.from_pretrained(device="cpu").fingerprint[:12]


def machine() -> str:
    """Return the machine and versions in words, without its name."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} thread(s), Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )
