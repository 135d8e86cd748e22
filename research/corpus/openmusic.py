"""Debian's openly licensed game music to a corpus: audio files, manifest.jsonl, attribution.md.

Fetches and unpacks packages, keeps whole pieces of music of 44.1 kHz or more, sums separate stems,
drops what is shipped twice, and describes the rest. Nothing done once is done again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandtok.data.manifest import (
    MANIFEST_NAME,
    Track,
    save_manifest,
    split_of,
    style_words,
    title_from_name,
)
from bandtok.errors import AudioError, DataError
from bandtok.signal.audio import load_audio, probe_audio
from bandtok.signal.audio_writer import AudioWriter
from bandtok.signal.find_files import AUDIO_SUFFIXES, find_audio_files
from bandtok.tokens.atomic import write_text
from research.corpus.attribution import ATTRIBUTION_NAME, attribution_table
from research.corpus.debian import (
    download_package,
    find_package,
    package_version,
    unpack_deb,
    unpack_zip,
)
from research.corpus.measured import Measurement, MeasurementLog
from research.corpus.open_packages import PACKAGES, MusicPackage
from research.corpus.track_notes import PackageNotes

MIN_SECONDS = 40.0
MIN_SAMPLE_RATE = 44_100
_ZIP_SUFFIXES = frozenset({".pk3", ".zip"})
_NOTE_SUFFIXES = frozenset({".json", ".ini"})
_STEM_NAMES = ("song", "guitar", "rhythm")
_PEAK = 0.98

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """What a build left: its tracks, the packages' versions, one line for each file left out."""

    tracks: list[Track]
    versions: dict[str, str]
    left_out: list[str]


def build_corpus(
    folder: str | os.PathLike[str],
    *,
    packages_from: str | os.PathLike[str] | None = None,
    packages: Sequence[MusicPackage] = PACKAGES,
    on_progress: Progress | None = None,
) -> Corpus:
    """Build, or finish building, the open-music corpus.

    Args:
        folder: gets packages/ (the fetched .deb files), unpacked/, prepared/ (sums of stems and
            single rounds of loops), manifest.jsonl and attribution.md.
        packages_from: a folder of .deb files to use before anything is fetched.
        packages: what to take.
        on_progress: called with (name of the step, done, in all).

    Raises:
        DataError: if a package cannot be had or unpacked, or nothing usable is found.
    """
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    report = on_progress or (lambda step, done, total: None)
    versions = _unpack_all(root, packages, packages_from, report)
    left_out: list[str] = []
    described = _describe_all(root, packages, left_out, report)
    tracks = _without_copies(described, left_out)
    if not tracks:
        raise DataError(f"found no usable music in {len(packages)} packages; expected at least one")
    save_manifest(tracks, root / MANIFEST_NAME)
    write_text(root / ATTRIBUTION_NAME, attribution_table(tracks, versions))
    return Corpus(tracks=tracks, versions=versions, left_out=left_out)


def sum_stems(stems: Sequence[Path], target: Path, keep_seconds: float | None = None) -> None:
    """Write the sum of equally sampled files as FLAC, scaled down when it would clip.

    Args:
        stems: files of one sample rate and channel count; shorter ones end in silence.
        target: .flac file, written atomically.
        keep_seconds: keep only the beginning.

    Raises:
        AudioError: if the files differ in rate or channels, or one cannot be read.
    """
    loaded = [load_audio(path) for path in stems]
    kinds = {(audio.sample_rate, audio.waveform.shape[0]) for audio in loaded}
    if len(kinds) != 1:
        raise AudioError(f"got stems of {sorted(kinds)} (Hz, channels); expected all alike")
    rate, channels = kinds.pop()
    total = np.zeros((channels, max(audio.waveform.shape[1] for audio in loaded)), np.float32)
    for audio in loaded:
        total[:, : audio.waveform.shape[1]] += audio.waveform
    if keep_seconds is not None:
        total = total[:, : round(keep_seconds * rate)]
    peak = float(np.abs(total).max(initial=0.0))
    with AudioWriter(target, rate, channels) as writer:
        writer.write(total * np.float32(_PEAK / peak) if peak > _PEAK else total)


def _unpack_all(
    root: Path,
    packages: Sequence[MusicPackage],
    packages_from: str | os.PathLike[str] | None,
    report: Progress,
) -> dict[str, str]:
    """Fetch what is not there, unpack what is not yet; return each package's version."""
    folders = [root / "packages"] + ([Path(packages_from)] if packages_from else [])
    if not all(folder.is_dir() for folder in folders[1:]):
        raise DataError(f"no such folder: {os.fspath(folders[-1])!r}; expected one of .deb files")
    versions = {}
    for done, package in enumerate(packages):
        report("unpacking", done, len(packages))
        deb = find_package(package.name, folders) or download_package(package.name, folders[0])
        versions[package.name] = package_version(deb)
        _unpack(package, deb, root / "unpacked" / package.name)
    return versions


def _unpack(package: MusicPackage, deb: Path, folder: Path) -> None:
    """Unpack a package and its inner archives; keep only music, notes and copyright."""
    marker = folder / ".source"
    if marker.exists() and marker.read_text(encoding="utf-8") == deb.name:
        return
    unpack_deb(deb, folder)
    for archive in sorted(folder.rglob("*")):
        if archive.suffix.lower() in _ZIP_SUFFIXES and package.music in archive.as_posix():
            unpack_zip(archive, archive.with_name(archive.name + ".unpacked"), AUDIO_SUFFIXES)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif not _is_kept(path, path.relative_to(folder).as_posix(), package):
            path.unlink()
    write_text(marker, deb.name)


def _is_kept(path: Path, inside: str, package: MusicPackage) -> bool:
    if path.is_symlink():  # languages of a game share one file through links
        return False
    if path.name == "copyright":
        return True
    suffix = path.suffix.lower()
    wanted = suffix in _NOTE_SUFFIXES or (suffix in AUDIO_SUFFIXES and _is_long(path))
    return wanted and package.music in inside


def _is_long(path: Path) -> bool:
    """Say whether a file is a piece of music, not a sound; damaged files stay, to be reported."""
    try:
        return probe_audio(path).seconds >= MIN_SECONDS
    except AudioError:
        return True


def _describe_all(
    root: Path, packages: Sequence[MusicPackage], left_out: list[str], report: Progress
) -> list[tuple[Track, str]]:
    """Return every usable track with the hash of its file."""
    log = MeasurementLog(root, root / "measured.jsonl")
    unpacked = root / "unpacked"
    notes = {package.name: PackageNotes(package, unpacked / package.name) for package in packages}
    found = [(package, path) for package in packages for path in _music_files(package, unpacked)]
    described = []
    for done, (package, source) in enumerate(found):
        report("describing", done, len(found))
        try:
            facts = _usable_facts(package, source, root, log)
        except AudioError as error:
            left_out.append(f"{source.relative_to(unpacked).as_posix()}: {error}")
            continue
        track = _track(package, source, facts, notes[package.name])
        described.append((track, facts.sha256))
    return described


def _music_files(package: MusicPackage, unpacked: Path) -> list[Path]:
    files = find_audio_files(unpacked / package.name)
    return [path for path in files if path.stem == _STEM_NAMES[0]] if package.stems else files


def _usable_facts(
    package: MusicPackage, source: Path, root: Path, log: MeasurementLog
) -> Measurement:
    """Measure a piece; AudioError says why it is of no use."""
    if source.stem in package.drop:
        raise AudioError("named as unfit")
    facts = log.of(_prepared(package, source, root / "prepared" / package.name))
    if facts.sample_rate < MIN_SAMPLE_RATE:
        raise AudioError(f"sampled at {facts.sample_rate} Hz; expected {MIN_SAMPLE_RATE} or more")
    if facts.seconds < MIN_SECONDS:
        raise AudioError(f"{facts.seconds:.0f} s long; expected {MIN_SECONDS:.0f} or more")
    return facts


def _prepared(package: MusicPackage, source: Path, folder: Path) -> Path:
    """Return the one file that holds the piece: itself, its summed stems or one round of a loop."""
    keep = package.keep_seconds.get(source.stem)
    if keep is None and not package.stems:
        return source
    name = source.parent.name if package.stems else source.stem
    target = folder / (f"{name}.flac" if keep is None else f"{name}_{keep:.0f}s.flac")
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        sum_stems(_stems_of(source) if package.stems else [source], target, keep_seconds=keep)
    return target


def _stems_of(song: Path) -> list[Path]:
    paths = (song.with_name(name + song.suffix) for name in _STEM_NAMES)
    return [path for path in paths if path.exists()]


def _track(package: MusicPackage, source: Path, facts: Measurement, notes: PackageNotes) -> Track:
    note = notes.of(source)
    piece = source.parent.name if package.stems else source.stem
    named = style_words(note.genre, note.title, source.parent.name, piece)
    return Track(
        path=facts.path,
        seconds=facts.seconds,
        sample_rate=facts.sample_rate,
        channels=facts.channels,
        bandwidth_hz=facts.bandwidth_hz,
        title=note.title or title_from_name(piece),
        author=note.author,
        license=note.license,
        package=package.name,
        style=list(dict.fromkeys([*package.style, *named])),
        split=_split(package, piece),
    )


def _split(package: MusicPackage, piece: str) -> str:
    if package.unseen:
        return "unseen"
    key = f"{package.name}/{piece}"
    return package.splits.get(piece) or split_of(key)


def _without_copies(described: Sequence[tuple[Track, str]], left_out: list[str]) -> list[Track]:
    """Keep the first of files with the same bytes."""
    seen: dict[str, Track] = {}
    for track, digest in described:
        if digest in seen:
            left_out.append(f"{track.path}: same as {seen[digest].path}")
        else:
            seen[digest] = track
    return list(seen.values())
