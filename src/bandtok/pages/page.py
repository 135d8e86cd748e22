"""Results, reconstructions and generated clips -> one HTML page that needs nothing else.

    ExperimentRecord by experiment, groups of clips -> page.html

Everything lies in the file: tables, plots, sounds, pictures. Where something is missing or damaged,
the page says so in its place, and so does what is returned.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor, log10
from pathlib import Path
from typing import TypeGuard
from xml.etree import ElementTree

from PIL import Image, UnidentifiedImageError

from bandtok import __version__
from bandtok.errors import BandTokError, DataError
from bandtok.evaluation.html_page import (
    Html,
    Section,
    Table,
    code,
    document,
    heading,
    paragraph,
    plot,
    table,
)
from bandtok.pages.clips import (
    ClipGroup,
    Coding,
    PageClip,
    groups_html,
    load_beginning,
)
from bandtok.pages.experiment_records import Cell, ExperimentRecord, RecordClip, RecordTable
from bandtok.pages.sources import load_grid
from bandtok.tokens import atomic

PAGE_LIMIT_BYTES = 15_000_000
"""Sounds are coded with loss where the page would be larger without."""

_FILES = Path(__file__).parent
_MAX_PICTURE_BYTES = 8 << 20
_OVERVIEW_SIGNS = 320  # of an answer in the overview
_SVG, _PNG = "image/svg+xml", "image/png"


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """All that a page shows.

    Attributes:
        title: of the page.
        records: results, in order.
        reconstructions: groups of an original and its reconstructions.
        comparisons: groups of versions of one excerpt, to switch between.
        generated: groups of generated clips.
        clip_seconds: ready-made clips are cut to this length.
    """

    title: str
    records: Sequence[ExperimentRecord] = ()
    reconstructions: Sequence[ClipGroup] = ()
    comparisons: Sequence[ClipGroup] = ()
    generated: Sequence[ClipGroup] = ()
    clip_seconds: float = 10.0


@dataclass(frozen=True, kw_only=True)
class WrittenPage:
    """A page on disk: its size, how sounds are coded, and what is missing from it."""

    path: Path
    size_bytes: int
    coding: Coding
    clips: int
    missing: tuple[str, ...]


def write_page(
    content: PageContent, path: str | os.PathLike[str], coding: Coding | None = None
) -> WrittenPage:
    """Write the page, whole or not at all.

    Args:
        content: what it shows.
        path: HTML file.
        coding: of sounds; None takes FLAC, or Opus if the page came out above PAGE_LIMIT_BYTES.

    Raises:
        DataError: if a plot is missing or no picture.
    """
    groups = [_record_groups(record, content.clip_seconds) for record in content.records]
    chosen = coding or Coding.FLAC
    text = _page(content, groups, chosen)
    if coding is None and len(text.encode()) > PAGE_LIMIT_BYTES:
        chosen = Coding.OPUS
        text = _page(content, groups, chosen)
    atomic.write_text(path, text)
    made = (content.comparisons, content.reconstructions, content.generated)
    shown = [group for part in (*made, *groups) for group in part]
    return WrittenPage(
        path=Path(path),
        size_bytes=len(text.encode()),
        coding=chosen,
        clips=sum(clip.audio is not None for group in shown for clip in group.clips),
        missing=tuple(
            f"{group.title}, {clip.label}: {clip.missing}"
            for group in shown
            for clip in group.clips
            if clip.missing
        ),
    )


def _page(content: PageContent, groups: Sequence[Sequence[ClipGroup]], coding: Coding) -> str:
    sections = []
    if len(content.records) > 1:
        overview = table(_overview(content.records), "All experiments")
        sections.append(Section(title="At a glance", parts=[overview]))
    for record, own in zip(content.records, groups, strict=True):
        sections.append(Section(title=record.title, parts=_record_parts(record, own, coding)))
    for title, made, words in (
        ("Listening comparison", content.comparisons, _COMPARISON),
        ("Reconstructions", content.reconstructions, _RECONSTRUCTIONS),
        ("Generated clips", content.generated, _GENERATED),
    ):
        if made:
            parts = [paragraph(words), *groups_html(made, coding)]
            sections.append(Section(title=title, parts=parts))
    other = (content.reconstructions, content.generated, *groups)
    has_clips = any((content.comparisons, *other))
    return document(
        content.title,
        _lead(content.records, coding if has_clips else None, pictures=any(other)),
        sections,
        style=_read("player.css") if has_clips else "",
        script=_read("player.js") if has_clips else "",
    )


_COMPARISON = (
    "Versions of the same excerpt. Click a name, or press 1 to 9 in the order shown, to switch at "
    "the same position; click a spectrogram to jump there. Hide names shuffles the versions and "
    "hides everything that identifies them.\n"
    "Playback is level-matched: the stated gain gives each version the loudness of the original "
    "(ITU-R BS.1770-4), and lowers all together where one would exceed -1 dBFS. Spectrograms of "
    "one excerpt share one color scale of 90 dB.\n"
    "Measures are of the versions before that gain. Mel distance: mean absolute difference of the "
    "ln-mels, 0 is best. Flicker and grain: total variation of the ln-mel over time and over "
    "frequency, relative to the original; 1 is right, less is blurred. Pitch and onsets: "
    "correlation of constant-Q spectra and of onset strength with the original, 1 is best."
)
_RECONSTRUCTIONS = (
    "Excerpts of recordings, encoded to tokens and decoded again. Mel distance: mean absolute "
    "difference of the ln-mels, lower is better."
)
_GENERATED = "Music written by a language model, by prompt or by name of the clip."
_CODINGS = {
    Coding.FLAC: "Sounds are stored without loss (FLAC, 16 bit).",
    Coding.OPUS: "Sounds are stored as Opus at about 110 kbit/s a channel, to keep the page small; "
    "that coding is not the one under test.",
}
_PICTURES = (
    "Pictures: above, a mel spectrogram, low to high, from the loudest moment of the clips beside "
    "one another to 90 dB below it; beneath it the tokens, one column a frame, the first row at "
    "the foot, equal colors for equal codes. Click a picture to play from there."
)


def _lead(
    records: Sequence[ExperimentRecord], coding: Coding | None, *, pictures: bool
) -> list[Html]:
    count = f" {len(records)} experiment{'s' * (len(records) > 1)}." if records else ""
    lead = [paragraph(f"BandTok {__version__}.{count}", "soft")]
    if coding:
        words = f"{_PICTURES} {_CODINGS[coding]}" if pictures else _CODINGS[coding]
        lead.append(paragraph(words, "soft"))
    return lead


def _overview(records: Sequence[ExperimentRecord]) -> Table:
    rows = [["experiment", "answer", "took, with what is shared", "seeds"]]
    for record in records:
        took = "–" if record.minutes is None else _duration(record.minutes)
        seeds = ", ".join(map(str, record.seeds)) or "–"
        answer = _beginning(record.answer) or "–"
        rows.append([record.title, answer, took, seeds])
    return rows


def _record_parts(
    record: ExperimentRecord, groups: Sequence[ClipGroup], coding: Coding
) -> list[Html]:
    parts = [paragraph(text) for text in _paragraphs(record.question)]
    parts += [paragraph(text, "answer") for text in _paragraphs(record.answer)]
    parts.append(paragraph(_summary(record), "soft"))
    if record.command:
        parts.append(code(record.command))
    for number, found in enumerate(record.tables, 1):
        title = found.title or f"Table {number}"
        parts += [heading(title, 3), table(table_rows(found), title)]
    for path in record.plots:
        content, kind = load_picture(path)
        name = path.stem.replace("-", " ").replace("_", " ")
        parts.append(plot(content, kind, f"Plot: {name}, of {record.title}", name))
    if not (record.answer or record.tables or record.plots or groups):
        parts.append(paragraph("No results are reported.", "note"))
    return [*parts, *groups_html(groups, coding)]


def _summary(record: ExperimentRecord) -> str:
    parts = [record.name]
    if record.scale:
        parts.append(f"scale {record.scale}")
    if record.seeds:
        seeds = ", ".join(map(str, record.seeds))
        parts.append(f"seed{'s' * (len(record.seeds) > 1)} {seeds}")
    if record.minutes is not None:
        parts.append(f"took {_duration(record.minutes)}, with what is shared")
    return " · ".join(parts)


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _beginning(text: str) -> str:
    """Return the first sentences that fit into an overview, with a sign if there are more."""
    shown = ""
    for sentence in re.split(r"(?<=[.!?])\s+", text.strip()):
        if shown and len(shown) + len(sentence) > _OVERVIEW_SIGNS:
            return f"{shown} …"
        shown = f"{shown} {sentence}".strip()
    return shown


def _duration(minutes: float) -> str:
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    whole = round(minutes)
    return f"{whole} min" if whole < 120 else f"{whole // 60} h {whole % 60:02d} min"


def table_rows(found: RecordTable) -> Table:
    """Return a table as text: numbers of one column with one number of decimals."""
    columns = [_column([row[n] for row in found.rows]) for n in range(len(found.columns))]
    return [list(found.columns), *(list(row) for row in zip(*columns, strict=True))]


def _column(cells: Sequence[Cell]) -> list[str]:
    numbers = [cell for cell in cells if _is_number(cell)]
    decimals = _decimals(numbers) if any(isinstance(cell, float) for cell in cells) else 0
    return [_cell(cell, decimals) for cell in cells]


def _cell(cell: Cell, decimals: int) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else f"{cell:,.{decimals}f}"


def _decimals(numbers: Sequence[float]) -> int:
    """Return how many decimals show four digits of the largest number and two of the smallest.

    Fewer if they show all that there is.
    """
    sizes = [floor(log10(abs(number))) for number in numbers if number]
    enough = min(max(3 - max(sizes), 1 - min(sizes), 0), 8) if sizes else 0
    return next((n for n in range(enough) if all(round(v, n) == v for v in numbers)), enough)


def _is_number(cell: Cell) -> TypeGuard[int | float]:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _record_groups(record: ExperimentRecord, seconds: float) -> list[ClipGroup]:
    """Return the record's clips by group, in the order in which groups are first named."""
    members: dict[str, list[RecordClip]] = {}
    for number, clip in enumerate(record.clips, 1):
        members.setdefault(clip.group or clip.title or f"Clip {number}", []).append(clip)
    groups = []
    for title, clips in members.items():
        prompts = {clip.prompt for clip in clips}
        prompt = prompts.pop() if len(prompts) == 1 else ""
        sampled = any(clip.tokens for clip in clips)  # then pictures would show it all once more
        kept = [replace(clip, picture=None) for clip in clips] if sampled else clips
        shown = [_record_clip(clip, title, prompt, seconds) for clip in kept]
        groups.append(
            ClipGroup(
                title=title,
                clips=shown,
                note=f"Prompt: “{prompt}”" if prompt not in ("", title) else "",
            )
        )
    return groups


def _record_clip(clip: RecordClip, group: str, prompt: str, seconds: float) -> PageClip:
    """Load one clip; what cannot be loaded is listed in `missing`."""
    label = clip.system or clip.title or "clip"
    said = [clip.title if not clip.system and clip.title not in (label, group) else ""]
    said.append(f"prompt: “{clip.prompt}”" if clip.prompt and clip.prompt != prompt else "")
    shown, troubles = PageClip(label=label), []
    try:
        if clip.audio:
            _check_there(clip.audio)
            audio, cut = load_beginning(clip.audio, seconds)
            said.append(cut)
            shown = replace(shown, audio=audio)
    except (BandTokError, OSError) as error:
        troubles.append(f"Not playable: {error}")
    try:
        if clip.tokens:
            _check_there(clip.tokens)
            limit = shown.audio.seconds if shown.audio else seconds
            shown = replace(shown, grid=load_grid(clip.tokens, limit))
        elif clip.picture:
            _check_there(clip.picture)
            shown = replace(shown, picture=load_picture(clip.picture))
    except (BandTokError, OSError) as error:
        troubles.append(f"Picture cannot be shown: {error}")
    note = ", ".join(text for text in said if text)
    return replace(shown, note=note, missing=" ".join(troubles))


def _check_there(path: Path) -> None:
    """Raise DataError that names a missing file without the folders of this machine."""
    if not path.is_file():
        raise DataError(f"{path.parent.name}/{path.name} is missing")


def load_picture(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a PNG or SVG file and their media type.

    Raises:
        DataError: if it is missing, larger than 8 MiB, or is neither.
    """
    try:
        if path.stat().st_size > _MAX_PICTURE_BYTES:
            raise DataError(f"{path} is larger than {_MAX_PICTURE_BYTES} bytes; expected a picture")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read the picture {path}: {error.strerror}") from None
    kind = _SVG if path.suffix.lower() == ".svg" else _PNG
    if not (_is_svg(content) if kind == _SVG else _is_png(path)):
        raise DataError(f"{path} is damaged or no picture; expected {kind}")
    return content, kind


def _is_svg(content: bytes) -> bool:
    try:
        return ElementTree.fromstring(content).tag.rpartition("}")[2] == "svg"
    except ElementTree.ParseError:
        return False


def _is_png(path: Path) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.verify()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


def _read(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")
