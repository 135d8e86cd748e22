"""Self-contained HTML pages: parts that are escaped as they are made, and the frame around them.

    text, tables, bytes -> Html;  Html by section -> one self-contained page

A page's policy forbids every outer resource and every script and style but the page's own. Knows
nothing of what is reported.
"""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NewType

Html = NewType("Html", str)
"""Text that is HTML already; everything else is escaped on its way into a page."""

Table = list[list[str]]
"""Rows of equal length; the first is the heading."""

_STYLE = Path(__file__).with_name("page.css")
_UNITS = r"n\s*=|%|k?bit/s|k?Hz|[kMG]i?B|dB(?:FS)?|ms|min|[smh]"
_NUMBER = re.compile(rf"(?=.*\d)(?:[\d\s.,+−–\-±\[\]()×/:<>~≈]|(?<=\d)e(?=[-+\d])|{_UNITS})+")
_LONG_CELL = 40  # characters; from here on a cell is kept wide enough to be read on a phone
_NOTHING = {"", "-", "–", "—"}


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page that its table of contents names."""

    title: str
    parts: Sequence[Html]


def document(
    title: str,
    lead: Sequence[Html],
    sections: Sequence[Section],
    *,
    style: str = "",
    script: str = "",
) -> str:
    """Return a whole page with a table of contents.

    Args:
        title: heading and name of the page.
        lead: content between the heading and the first section.
        sections: the rest.
        style: CSS in addition to the common one.
        script: JavaScript; "" leaves none in the page and allows none.
    """
    names = _distinct_names([section.title for section in sections])
    style = _STYLE.read_text(encoding="utf-8") + style
    body = [
        '<a class="skip" href="#content">To the content</a>',
        f"<header><h1>{escaped(title)}</h1></header>",
        _contents(sections, names),
        f'<main id="content">{"".join(lead)}',
        *(_section(section, name) for section, name in zip(sections, names, strict=True)),
        "</main>",
        f"<script>{script}</script>" if script else "",
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{''.join(body)}\n</body>\n</html>\n"
    )


def paragraph(text: str, kind: str = "") -> Html:
    """Return a paragraph, with a class if `kind` is given; line breaks in `text` are kept."""
    lines = "<br>".join(escaped(line) for line in text.splitlines())
    return Html(f"<p{_class(kind)}>{lines}</p>")


def heading(text: str, level: int) -> Html:
    """Return a heading of level 2 to 6."""
    return Html(f"<h{level}>{escaped(text)}</h{level}>")


def code(text: str) -> Html:
    """Return a command or a file's text in a box of its own."""
    return Html(f'<pre tabindex="0"><code>{escaped(text)}</code></pre>')


def table(rows: Table, label: str) -> Html:
    """Return a table that scrolls by itself where it is wider than the page.

    Columns of numbers are set to the right. In the others, the first cell of a row names the row.

    Args:
        rows: of text; the first is the heading.
        label: what a screen reader calls it.
    """
    head, *body = rows
    numeric = [_is_numeric([row[column] for row in body]) for column in range(len(head))]
    kinds = [_class("number" if right else "") for right in numeric]
    cells = "".join(
        f'<th scope="col"{kind}>{escaped(cell)}</th>'
        for cell, kind in zip(head, kinds, strict=True)
    )
    lines = "".join(_row(row, numeric, kinds) for row in body)
    return Html(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(label)}">'
        f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def plot(content: bytes, media_type: str, alt: str, caption: str = "") -> Html:
    """Return a picture on white, for plots drawn in dark colors, with the caption below it."""
    below = f"<figcaption>{escaped(caption)}</figcaption>" if caption else ""
    return Html(
        f'<figure class="plot"><img alt="{escaped(alt)}" '
        f'src="{data_uri(content, media_type)}">{below}</figure>'
    )


def player(content: bytes, media_type: str, caption: str) -> Html:
    """Return an audio player with its caption."""
    return Html(
        f'<figure><figcaption>{escaped(caption)}</figcaption><audio controls preload="metadata" '
        f'aria-label="{escaped(caption)}" src="{data_uri(content, media_type)}"></audio></figure>'
    )


def escaped(text: str) -> str:
    """Return text as HTML shows it, in quotes too; signs that UTF-8 cannot hold become "?"."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"))


def data_uri(content: bytes, media_type: str) -> str:
    """Return bytes as an address that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _section(section: Section, name: str) -> str:
    title = escaped(section.title)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">'
        f'<h2 id="{name}-title">{title}</h2>{"".join(section.parts)}</section>'
    )


def _contents(sections: Sequence[Section], names: Sequence[str]) -> str:
    if len(sections) < 2:
        return ""
    items = "".join(
        f'<li><a href="#{name}">{escaped(section.title)}</a></li>'
        for section, name in zip(sections, names, strict=True)
    )
    return f'<nav aria-label="Contents"><ol>{items}</ol></nav>'


def _row(row: Sequence[str], numeric: Sequence[bool], kinds: Sequence[str]) -> str:
    cells: list[str] = []
    for column, (cell, kind) in enumerate(zip(row, kinds, strict=True)):
        text = escaped(cell)
        if column == 0 and not numeric[0]:
            cells.append(f'<th scope="row">{text}</th>')
        else:
            kind = _class("long") if not kind and len(cell) > _LONG_CELL else kind
            cells.append(f"<td{kind}>{text}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _is_numeric(cells: Sequence[str]) -> bool:
    """Return whether a column holds numbers, with units and intervals, and nothing else."""
    said = [cell.strip() for cell in cells if cell.strip() not in _NOTHING]
    return bool(said) and all(_NUMBER.fullmatch(cell) for cell in said)


def _distinct_names(titles: Sequence[str]) -> list[str]:
    """Return a name for each title that no other has, of letters that need no escaping."""
    names: list[str] = []
    for number, title in enumerate(titles, 1):
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
        names.append(f"s{number}-{slug}" if slug else f"s{number}")
    return names


def _class(kind: str) -> str:
    return f' class="{escaped(kind)}"' if kind else ""


def _policy(style: str, script: str) -> str:
    """Return the content security policy of a page with this one style and script."""
    scripts = f"'sha256-{_digest(script)}'" if script else "'none'"
    return (
        "default-src 'none'; img-src data:; media-src data:; "
        f"style-src 'sha256-{_digest(style)}'; script-src {scripts}; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
