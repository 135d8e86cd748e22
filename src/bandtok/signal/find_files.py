"""Files of some suffixes below a folder: links are followed, and nothing is left out silently."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection
from pathlib import Path

from bandtok.errors import AudioWarning

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}
)
UNREADABLE_SUFFIXES = frozenset({".m4a", ".aac", ".wma", ".ape", ".wv", ".mka", ".alac", ".mpc"})
"""Audio that libsndfile does not read: listed, so that whoever opens it says so by name."""


def find_files(
    folder: str | os.PathLike[str],
    suffixes: Collection[str],
    on_error: Callable[[OSError], None] | None = None,
) -> list[Path]:
    """List files below `folder` by suffix, sorted; hidden files and folders are left out.

    Linked folders are searched, each once on a path. What cannot be opened (a broken link, a pipe)
    is listed too: opening it says why.

    Args:
        folder: where to search.
        suffixes: lower-case, with the dot.
        on_error: called for each folder that cannot be read; None gives a warning.

    Raises:
        OSError: if `folder` itself cannot be read.
    """
    root = os.fspath(folder)
    found: list[Path] = []

    def search(place: str, above: tuple[str, ...]) -> None:
        real = os.path.realpath(place)
        if real in above:  # a link to a folder that it is in
            return
        try:
            with os.scandir(place) as entries:
                inside = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            if place == root:
                raise
            (on_error or _warn)(error)
            return
        for entry in inside:
            if os.path.isdir(entry.path):
                search(entry.path, (*above, real))
            elif Path(entry.name).suffix.lower() in suffixes:
                found.append(Path(entry.path))

    search(root, ())
    return sorted(found)


def find_audio_files(
    folder: str | os.PathLike[str], on_error: Callable[[OSError], None] | None = None
) -> list[Path]:
    """List audio files below `folder`, those of formats that are not read too; see `find_files`."""
    return find_files(folder, AUDIO_SUFFIXES | UNREADABLE_SUFFIXES, on_error)


def _warn(error: OSError) -> None:
    message = f"left out the folder {error.filename}: {error.strerror}"
    warnings.warn(AudioWarning(message), stacklevel=2)
