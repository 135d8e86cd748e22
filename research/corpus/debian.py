"""Debian packages to files: fetch, unpack without root, read who owns which file.

Knows archives and copyright files; knows nothing of music. Every step leaves a whole result or
none, so that a stopped run goes on where it stopped.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import tempfile
import urllib.parse
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bandtok.errors import DataError

_MAX_ARCHIVE_BYTES = 4 << 30


@dataclass(frozen=True, kw_only=True)
class CopyrightEntry:
    """One `Files:` paragraph of a machine-readable copyright file."""

    patterns: tuple[str, ...]
    holders: tuple[str, ...]
    license: str


def find_package(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the first `name_VERSION_ARCH.deb` in the folders, or None."""
    for folder in folders:
        found = sorted(folder.glob(f"{name}_*.deb"))
        if found:
            return found[-1]
    return None


def package_version(deb: Path) -> str:
    """Return the version that a .deb file's name says, e.g. "1:1.16.9-1"."""
    parts = deb.stem.split("_")
    return urllib.parse.unquote(parts[1]) if len(parts) > 1 else ""


def download_package(name: str, folder: Path) -> Path:
    """Fetch one package into `folder` with apt-get (no root needed).

    Raises:
        DataError: if apt-get is missing or does not find the package.
    """
    apt = _tool("apt-get", "--packages-from FOLDER with the .deb files already fetched")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as part:
        _run([apt, "download", "-q", name], Path(part), f"apt-get download {name}")
        found = find_package(name, [Path(part)])
        if found is None:
            raise DataError(f"apt-get download {name} left no .deb file; try it by hand")
        target = folder / found.name
        os.replace(found, target)
    return target


def unpack_deb(deb: Path, folder: Path) -> None:
    """Unpack a package's files into `folder`, which appears only when all is there.

    Raises:
        DataError: if dpkg is missing or the file is damaged.
    """
    dpkg = _tool("dpkg", "a Debian or Ubuntu system")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        inside = Path(part) / "root"
        _run([dpkg, "-x", os.fspath(deb), os.fspath(inside)], None, deb.name)
        shutil.rmtree(folder, ignore_errors=True)
        inside.rename(folder)


def unpack_zip(archive: Path, folder: Path, suffixes: frozenset[str]) -> None:
    """Unpack the members of a .zip or .pk3 that have a wanted suffix, all of them or none.

    Raises:
        DataError: if it is damaged, too large, or a member's name would leave `folder`.
    """
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".part-") as part:
        inside = Path(part) / "root"
        inside.mkdir()
        try:
            with zipfile.ZipFile(archive) as opened:
                for member in _wanted_members(opened, archive.name, suffixes):
                    opened.extract(member, inside)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
            raise DataError(f"cannot unpack {archive.name!r}: {error}") from None
        shutil.rmtree(folder, ignore_errors=True)
        inside.rename(folder)


def read_copyright(text: str) -> list[CopyrightEntry]:
    """Parse a copyright file; [] when it is not in the machine-readable form."""
    if not text.lstrip().lower().startswith("format"):
        return []
    fields = (_fields(paragraph) for paragraph in re.split(r"\n[ \t]*\n", text))
    return [
        CopyrightEntry(
            patterns=tuple(entry["files"].split()),
            holders=tuple(dict.fromkeys(_holders(entry.get("copyright", "")))),
            license=entry.get("license", "").strip().split("\n")[0].strip(),
        )
        for entry in fields
        if "files" in entry
    ]


def copyright_of(path: str, entries: Sequence[CopyrightEntry]) -> CopyrightEntry | None:
    """Return the last paragraph that names this file itself, not merely everything (`*`).

    Packages move files, so a pattern matches by its last two parts: `base/music/a.ogg` names
    `usr/share/games/x/music/a.ogg`.
    """
    tail = "/".join(PurePosixPath(path).parts[-2:])
    matching = [
        entry
        for entry in entries
        if any(
            fnmatch.fnmatchcase(tail, "/".join(PurePosixPath(pattern).parts[-2:]))
            for pattern in entry.patterns
            if "/" in pattern and not pattern.startswith("debian/")
        )
    ]
    return matching[-1] if matching else None


def _tool(name: str, instead: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DataError(
            f"{name} is not installed; expected a Debian or Ubuntu system, or {instead}"
        )
    return found


def _run(command: list[str], folder: Path | None, what: str) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise DataError(f"{what} failed: {lines[-1]}")


def _wanted_members(
    opened: zipfile.ZipFile, name: str, suffixes: frozenset[str]
) -> list[zipfile.ZipInfo]:
    members = []
    for member in opened.infolist():
        parts = PurePosixPath(member.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or re.match(r"[A-Za-z]:", member.filename):
            raise DataError(f"{name!r} holds {member.filename!r}, which would leave its folder")
        if not member.is_dir() and parts.suffix.lower() in suffixes:
            members.append(member)
    if sum(member.file_size for member in members) > _MAX_ARCHIVE_BYTES:
        raise DataError(f"{name!r} unpacks to more than {_MAX_ARCHIVE_BYTES >> 30} GiB; refused")
    return members


def _fields(paragraph: str) -> dict[str, str]:
    found = re.split(r"^([A-Za-z-]+):", paragraph, flags=re.MULTILINE)
    return {key.lower(): value for key, value in zip(found[1::2], found[2::2], strict=True)}


def _holders(text: str) -> list[str]:
    names = (re.sub(r"<[^>]*>|\([^)]*\)|\S+@\S+", "", line) for line in text.splitlines())
    stripped = (re.sub(r"^[\s\d,–-]*(©|\(C\))?", "", name).strip(" ,") for name in names)
    return [name for name in stripped if name]
