"""A package's own text files to what they say of one track: title, author, license, genre.

Sources, the later the more trusted: the file's tags, album.json, song.ini, the name of the file,
the machine-readable copyright file. Knows nothing of sound.
"""

from __future__ import annotations

import configparser
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bandtok.data.manifest import read_tags
from bandtok.signal.find_files import find_audio_files
from research.corpus.debian import CopyrightEntry, copyright_of, read_copyright
from research.corpus.open_packages import MusicPackage

_CREATIVE_COMMONS = re.compile(r"creativecommons\.org/licenses/([a-z-]+)/(\d\.\d)")
_NUMBERED_NAME = re.compile(r"\d+ - (?P<author>.+) - (?P<title>.+)")
_EMPTY_WORDS = frozenset({"<unknown>", "(none)", "unknown", "none", "other", "game", "sound fx"})


@dataclass(frozen=True, kw_only=True)
class TrackNote:
    """What is said of a track; "" where nothing is."""

    title: str = ""
    author: str = ""
    license: str = ""
    genre: str = ""


class PackageNotes:
    """The notes of one unpacked package.

    Args:
        package: what is known of it beforehand.
        folder: where it is unpacked.
    """

    def __init__(self, package: MusicPackage, folder: Path) -> None:
        self._package, self._folder = package, folder
        self._entries: list[CopyrightEntry] = []
        for file in sorted(folder.glob("usr/share/doc/*/copyright")):
            self._entries += read_copyright(file.read_text(encoding="utf-8", errors="replace"))
        # One title on several files was copied from one to the others, and is wrong for most.
        titles = Counter(read_tags(path).get("title", "") for path in find_audio_files(folder))
        self._doubtful_titles = {title for title, count in titles.items() if count > 1}

    def of(self, source: Path) -> TrackNote:
        """Return what is said of the track in the file `source` of this package."""
        tags = {key: value for key, value in read_tags(source).items() if _says_something(value)}
        if tags.get("title") in self._doubtful_titles:
            tags.pop("title")
        entry = copyright_of(source.relative_to(self._folder).as_posix(), self._entries)
        said = tags | _numbered_name(source) | _album(source) | _song(source)
        return TrackNote(
            title=said.get("title", ""),
            author=self._author(source, said.get("artist", ""), entry),
            license=self._license(source, tags.get("license", ""), entry),
            genre=tags.get("genre", ""),
        )

    def _author(self, source: Path, artist: str, entry: CopyrightEntry | None) -> str:
        for beginning, author in self._package.authors.items():
            if source.stem.startswith(beginning):
                return author
        return artist or (entry and "; ".join(entry.holders)) or self._package.author

    def _license(self, source: Path, tag: str, entry: CopyrightEntry | None) -> str:
        for part, license in self._package.licenses.items():
            if part in source.as_posix():
                return license
        if entry is not None:
            return entry.license
        commons = _CREATIVE_COMMONS.search(tag)
        if commons:
            return f"CC-{commons[1].upper()}-{commons[2]}"
        return self._package.license


def _says_something(tag: str) -> bool:
    return tag.lower() not in _EMPTY_WORDS and not re.fullmatch(
        r"(\d+ - )?track \d+", tag, re.IGNORECASE
    )


def _numbered_name(source: Path) -> dict[str, str]:
    match = _NUMBERED_NAME.fullmatch(source.stem)
    return {"title": match["title"], "artist": match["author"]} if match else {}


def _album(source: Path) -> dict[str, str]:
    file = source.with_name("album.json")
    if not file.exists():
        return {}
    album = json.loads(file.read_text(encoding="utf-8"))
    for track in album.get("tracks", []):
        if track.get("filename") == source.name:
            author = track.get("author") or album.get("author", "")
            return {"title": track.get("title", ""), "artist": author}
    return {}


def _song(source: Path) -> dict[str, str]:
    file = source.with_name("song.ini")
    if not file.exists():
        return {}
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file, encoding="utf-8")
    return {"title": parser.get("song", "name", fallback=source.parent.name)}
