"""Reconstructions, comparisons and generated clips -> one self-contained HTML page.

    chapters with text, groups of clips -> page.html

Everything lies in the file: tables, plots, sounds, pictures. A clip that is missing or damaged
leaves a note in its place and a line in what is returned.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bandtok import __version__
from bandtok.evaluation.html_page import (
    Html,
    Section,
    document,
    paragraph,
)
from bandtok.pages.clips import (
    ClipGroup,
    Coding,
    groups_html,
)
from bandtok.tokens import atomic

PAGE_LIMIT_BYTES = 15_000_000
"""Sounds are coded with loss where the page would be larger without."""

_FILES = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A section of its own: text, tables and plots, then groups of clips."""

    title: str
    parts: Sequence[Html]
    groups: Sequence[ClipGroup] = ()


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """All that a page shows.

    Attributes:
        title: of the page.
        note: a line below the title; "" for none.
        chapters: sections before those of clips.
        reconstructions: groups of an original and its reconstructions.
        comparisons: groups of versions of one excerpt, to switch between.
        generated: groups of generated clips.
    """

    title: str
    note: str = ""
    chapters: Sequence[Chapter] = ()
    reconstructions: Sequence[ClipGroup] = ()
    comparisons: Sequence[ClipGroup] = ()
    generated: Sequence[ClipGroup] = ()


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
    """
    chosen = coding or Coding.FLAC
    text = _page(content, chosen)
    if coding is None and len(text.encode()) > PAGE_LIMIT_BYTES:
        chosen = Coding.OPUS
        text = _page(content, chosen)
    atomic.write_text(path, text)
    made = (content.comparisons, content.reconstructions, content.generated)
    own = [chapter.groups for chapter in content.chapters]
    shown = [group for part in (*made, *own) for group in part]
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


def _page(content: PageContent, coding: Coding) -> str:
    sections = [
        Section(title=one.title, parts=[*one.parts, *groups_html(one.groups, coding)])
        for one in content.chapters
    ]
    for title, made, words in (
        ("Listening comparison", content.comparisons, _COMPARISON),
        ("Reconstructions", content.reconstructions, _RECONSTRUCTIONS),
        ("Generated clips", content.generated, _GENERATED),
    ):
        if made:
            parts = [paragraph(words), *groups_html(made, coding)]
            sections.append(Section(title=title, parts=parts))
    own = [chapter.groups for chapter in content.chapters]
    other = (content.reconstructions, content.generated, *own)
    has_clips = any((content.comparisons, *other))
    return document(
        content.title,
        _lead(content.note, coding if has_clips else None, pictures=any(other)),
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
    "Upper picture: mel spectrogram, low frequencies at the foot, from the loudest moment of the "
    "clips of a row to 90 dB below. Lower picture: tokens, one column per frame, first row at the "
    "foot; hue by codebook entry, brightness by energy. Click a picture to play from there."
)


def _lead(note: str, coding: Coding | None, *, pictures: bool) -> list[Html]:
    lead = [paragraph(f"BandTok {__version__}. {note}".rstrip(), "soft")]
    if coding:
        words = f"{_PICTURES} {_CODINGS[coding]}" if pictures else _CODINGS[coding]
        lead.append(paragraph(words, "soft"))
    return lead


def _read(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")
