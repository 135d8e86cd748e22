"""A folder of audio to a list of tracks with split, style and license, and back: manifest.jsonl.

One JSON object a line, paths relative to the manifest's folder. Splits are by whole tracks and
depend only on a track's own name, so that adding music never moves a track from one to another.
Knows nothing of tokens, packages or training.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import soundfile

from bandtok.data.bandwidth import measure_bandwidth
from bandtok.errors import AudioError, DataError, DataWarning, printable
from bandtok.signal.audio import probe_audio
from bandtok.signal.find_files import find_audio_files
from bandtok.tokens.atomic import write_text

_RENAMED = {"licence": "license"}  # in manifests made before version 0.1.0
MANIFEST_NAME = "manifest.jsonl"
SPLITS = ("train", "valid", "test", "unseen")
_TEST_SHARE, _VALID_SHARE = 0.06, 0.04
_STYLE_WORDS = """
    acoustic action alien ambient battle blues boss calm castle cave chip chiptune choir christmas
    classical credits dark desert disco dnb drum dungeon electronic epic fantasy folk forest
    fortress funk ghost guitar halloween hunting ice industrial jazz jungle lounge love magical
    march melancholy menu metal mountain ocean orchestral palace piano pop punk quiet rap remix
    retro rock romantic sad soundtrack space storm strings suspense synth techno temple theme town
    trance tropical underground urban victory waltz wind winter
"""
_VOCABULARY = frozenset(_STYLE_WORDS.split())


@dataclass(frozen=True, kw_only=True)
class Track:
    """One piece of music.

    Attributes:
        path: POSIX path relative to the manifest's folder.
        seconds: length.
        sample_rate: Hz of the file.
        channels: of the file.
        bandwidth_hz: highest frequency that the music reaches.
        title, author, license, package: from the source; "" if unknown.
        style: lower-case words, most certain first.
        split: "train", "valid", "test", or "unseen" (a whole source held out).
        stems: further files, relative too, to be summed with `path`; mostly empty.
        bytes: size of the file when it was described; 0 if not known.
    """

    path: str
    seconds: float
    sample_rate: int
    channels: int
    bandwidth_hz: float
    title: str = ""
    author: str = ""
    license: str = ""
    package: str = ""
    style: list[str] = field(default_factory=list)
    split: str = "train"
    stems: list[str] = field(default_factory=list)
    bytes: int = 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise DataError(
                f"got split {self.split!r} for {self.path!r}; expected one of {', '.join(SPLITS)}"
            )
        for path in (self.path, *self.stems):
            if not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise DataError(
                    f"got track path {path!r}; expected one below the manifest's folder"
                )


def manifest_folder(folder_or_file: str | os.PathLike[str]) -> Path:
    """Return the folder that a manifest's relative paths start from."""
    path = Path(folder_or_file)
    return path if path.is_dir() else path.parent


def load_manifest(
    folder_or_file: str | os.PathLike[str],
    splits: Iterable[str] | None = None,
    on_skip: Callable[[str, str], None] | None = None,
) -> list[Track]:
    """Read the tracks of a corpus; join `manifest_folder(...)` and `track.path` to open one.

    Args:
        folder_or_file: a manifest.jsonl, a folder that holds one, or a plain folder of audio,
            which is scanned (`scan_folder`; nothing is written).
        splits: only these, e.g. ("train",); None for all.
        on_skip: called as by `scan_folder` if a plain folder is scanned; None gives warnings.

    Raises:
        DataError: if there is neither a manifest nor audio, or a line of it is damaged.

    Warns:
        DataWarning: if files came or changed since `scan_folder` made the manifest of a folder, or
            files of a folder without one cannot be read.
    """
    path = Path(folder_or_file)
    if not path.exists():
        raise DataError(f"no such folder or manifest: {os.fspath(path)!r}")
    file = path / MANIFEST_NAME if path.is_dir() else path
    if file.exists():
        tracks, skipped = _read_lines(file)
        scanned = path.is_dir() and any(track.bytes for track in tracks)
        if scanned and (changes := _changes(tracks, skipped, path)):
            _warn(f"{file} is not up to date: {changes}; 'bandtok data manifest {path}' renews it")
    else:
        tracks = scan_folder(path, on_skip=on_skip or _warn_of_skipped)
    wanted = SPLITS if splits is None else tuple(splits)
    return [track for track in tracks if track.split in wanted]


def save_manifest(
    tracks: Sequence[Track],
    file: str | os.PathLike[str],
    skipped: Mapping[str, str] | None = None,
) -> None:
    """Write one track per line, atomically, and one line for each path that was skipped and why."""
    lines: list[dict[str, Any]] = [dataclasses.asdict(track) for track in tracks]
    lines += [{"skipped": path, "reason": reason} for path, reason in (skipped or {}).items()]
    write_text(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def scan_folder(
    folder: str | os.PathLike[str],
    *,
    root: Path | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_skip: Callable[[str, str], None] | None = None,
) -> list[Track]:
    """Describe every audio file below a folder.

    Args:
        folder: any folder; hidden files are left out.
        root: folder of the manifest, which the paths start from; None for `folder`.
        on_progress: called with (files done, files in all).
        on_skip: called with path and reason for each file or folder that cannot be read.

    Raises:
        DataError: if no audio file below it can be read, or `folder` is not below `root`.
    """
    root = root or Path(folder)
    if not Path(folder).absolute().is_relative_to(root.absolute()):
        raise DataError(
            f"got a manifest in {os.fspath(root)!r} of {os.fspath(folder)!r}; expected it in that "
            "folder or above it, since its paths are relative; elsewhere, make a link to the folder"
        )
    files = [root / path for path in _audio_below(Path(folder), root, on_skip)]
    tracks, first = [], ""
    for done, path in enumerate(files):
        if on_progress:
            on_progress(done, len(files))
        try:
            tracks.append(describe_file(path, root))
        except AudioError as error:
            first = first or f", the first one: {error}"
            if on_skip:
                on_skip(path.relative_to(root).as_posix(), str(error))
    if not tracks:
        raise DataError(
            f"no readable audio below {os.fspath(root)!r} ({len(files)} files tried{first}); "
            "expected .wav, .flac, .ogg, .opus, .mp3 or the like"
        )
    return _with_training_and_validation(tracks)


def _audio_below(folder: Path, root: Path, on_skip: Callable[[str, str], None] | None) -> list[str]:
    """Return the audio files below a folder as POSIX paths relative to `root`."""

    def unread(error: OSError) -> None:
        if on_skip:
            on_skip(str(error.filename), str(error.strerror))

    start = root.absolute()
    files = find_audio_files(folder, unread)
    return [path.absolute().relative_to(start).as_posix() for path in files]


def _changes(tracks: Sequence[Track], skipped: Sequence[str], root: Path) -> str:
    """Return in words how the files of a folder differ from its manifest, "" if they do not."""
    named = {path for track in tracks for path in (track.path, *track.stems)}
    found = _audio_below(root, root, None)
    present = set(found) - set(skipped)
    new = [path for path in found if path in present - named]
    changed = [
        track.path
        for track in tracks
        if track.bytes and track.path in present and _size(root / track.path) != track.bytes
    ]
    return ", ".join(
        f"{len(paths)} {'file' if len(paths) == 1 else 'files'} {what} ({_named(paths)})"
        for paths, what in ((new, "not in it"), (changed, "changed"))
        if paths
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _named(paths: Sequence[str]) -> str:
    return f"{paths[0]} ..." if len(paths) > 1 else paths[0]


def _warn_of_skipped(name: str, reason: str) -> None:
    _warn(f"left out {name}: {reason}")


def _warn(message: str) -> None:
    warnings.warn(DataWarning(printable(message)), stacklevel=3)


def describe_file(path: Path, root: Path) -> Track:
    """Measure one file below `root` and read its tags.

    Raises:
        AudioError: if it cannot be read, or holds no samples.
    """
    info = probe_audio(path)
    if not info.samples:
        raise AudioError(f"{path.name!r} holds no samples; expected audio")
    relative = path.relative_to(root).as_posix()
    tags = read_tags(path)
    return Track(
        path=relative,
        seconds=round(info.seconds, 3),
        sample_rate=info.sample_rate,
        channels=info.channels,
        bandwidth_hz=measure_bandwidth(path),
        title=tags.get("title") or title_from_name(path.stem),
        author=tags.get("artist", ""),
        license=tags.get("license", ""),
        style=style_words(tags.get("genre", ""), relative),
        split=split_of(relative),
        bytes=path.stat().st_size,
    )


def read_tags(path: Path) -> dict[str, str]:
    """Return the file's non-empty tags (title, artist, album, genre, license ...)."""
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            tags = file.copy_metadata()
    except (soundfile.LibsndfileError, OSError, UnicodeDecodeError):
        return {}
    return {key: " ".join(value.split()) for key, value in tags.items() if value.strip()}


def title_from_name(stem: str) -> str:
    """Turn a file name such as "03_the-deepPath" into a title: "the deep Path"."""
    words = " ".join(words_of_name(stem).split())
    return re.sub(r"^\d+[\s.-]+(?=\D)", "", words) or words


def words_of_name(name: str) -> str:
    """Set the words of a file name apart: at _ and -, and where camel case changes."""
    return re.sub(r"_|(?<=\w)-(?=\w)|(?<=[a-z])(?=[A-Z])", " ", name)


def style_words(*texts: str) -> list[str]:
    """Return the words of a small vocabulary of styles and moods that occur in the texts."""
    found = (word for text in texts for word in re.findall(r"[a-z]+", words_of_name(text).lower()))
    return list(dict.fromkeys(word for word in found if word in _VOCABULARY))


def split_of(key: str) -> str:
    """Return the split of a track from its name alone: about 90 % train, 4 % valid, 6 % test."""
    share = _share(key)
    if share < _TEST_SHARE:
        return "test"
    return "valid" if share < _TEST_SHARE + _VALID_SHARE else "train"


def _share(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def _with_training_and_validation(tracks: list[Track]) -> list[Track]:
    """Let a small folder have something to learn from and, with two tracks, to validate on."""
    tracks = list(tracks)
    by_share = sorted(range(len(tracks)), key=lambda index: _share(tracks[index].path))
    splits = {track.split for track in tracks}
    if "train" not in splits:
        tracks[by_share[-1]] = dataclasses.replace(tracks[by_share[-1]], split="train")
    if "valid" not in splits and len(tracks) > 1:
        tracks[by_share[0]] = dataclasses.replace(tracks[by_share[0]], split="valid")
    return tracks


def _read_lines(file: Path) -> tuple[list[Track], list[str]]:
    """Return the tracks of a manifest and the paths that were skipped when it was made."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read manifest {os.fspath(file)!r}: {error}") from None
    tracks, skipped = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        values = _values_of(line, f"{file.name} line {number}")
        if "skipped" in values:
            skipped.append(str(values["skipped"]))
        else:
            tracks.append(_track_from(values, f"{file.name} line {number}"))
    if not tracks:
        raise DataError(f"manifest {os.fspath(file)!r} names no track; expected one per line")
    return tracks, skipped


def _values_of(line: str, where: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except (ValueError, TypeError) as error:
        raise DataError(f"{where} is not a track: {error}; write the manifest again") from None


def _track_from(values: dict[str, Any], where: str) -> Track:
    try:
        known = {field.name for field in dataclasses.fields(Track)}
        renamed = {_RENAMED.get(key, key): value for key, value in values.items()}
        return Track(**{key: value for key, value in renamed.items() if key in known})
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{where} is not a track: {error}; write the manifest again") from None
