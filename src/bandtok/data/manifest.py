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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import soundfile

from bandtok.data.bandwidth import measure_bandwidth
from bandtok.errors import AudioError, DataError
from bandtok.signal.audio import find_audio_files, probe_audio
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
    folder_or_file: str | os.PathLike[str], splits: Iterable[str] | None = None
) -> list[Track]:
    """Read the tracks of a corpus; join `manifest_folder(...)` and `track.path` to open one.

    Args:
        folder_or_file: a manifest.jsonl, a folder that holds one, or a plain folder of audio,
            which is scanned (`scan_folder`; nothing is written).
        splits: only these, e.g. ("train",); None for all.

    Raises:
        DataError: if there is neither a manifest nor audio, or a line of it is damaged.
    """
    path = Path(folder_or_file)
    if not path.exists():
        raise DataError(f"no such folder or manifest: {os.fspath(path)!r}")
    file = path / MANIFEST_NAME if path.is_dir() else path
    tracks = _read_lines(file) if file.exists() else scan_folder(path)
    wanted = SPLITS if splits is None else tuple(splits)
    return [track for track in tracks if track.split in wanted]


def save_manifest(tracks: Sequence[Track], file: str | os.PathLike[str]) -> None:
    """Write one track a line, atomically."""
    write_text(
        file,
        "".join(
            json.dumps(dataclasses.asdict(track), ensure_ascii=False) + "\n" for track in tracks
        ),
    )


def scan_folder(
    folder: str | os.PathLike[str],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    on_skip: Callable[[str], None] | None = None,
) -> list[Track]:
    """Describe every audio file below a folder.

    Args:
        folder: any folder; hidden files are left out.
        on_progress: called with (files done, files in all).
        on_skip: called with one line for each file that cannot be read.

    Raises:
        DataError: if no audio file below it can be read.
    """
    root = Path(folder)
    files = find_audio_files(root)
    tracks = []
    for done, path in enumerate(files):
        if on_progress:
            on_progress(done, len(files))
        try:
            tracks.append(describe_file(path, root))
        except AudioError as error:
            if on_skip:
                on_skip(f"skipped {path.relative_to(root).as_posix()}: {error}")
    if not tracks:
        raise DataError(
            f"no readable audio below {os.fspath(root)!r} ({len(files)} files tried); "
            "expected .wav, .flac, .ogg, .opus, .mp3 or the like"
        )
    return _with_training_and_validation(tracks)


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
    )


def read_tags(path: Path) -> dict[str, str]:
    """Return the file's non-empty tags (title, artist, album, genre, license ...)."""
    try:
        with soundfile.SoundFile(os.fspath(path)) as file:
            tags = file.copy_metadata()
    except (soundfile.LibsndfileError, UnicodeDecodeError):
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


def _read_lines(file: Path) -> list[Track]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read manifest {os.fspath(file)!r}: {error}") from None
    tracks = [
        _track_from(line, f"{file.name} line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]
    if not tracks:
        raise DataError(f"manifest {os.fspath(file)!r} names no track; expected one per line")
    return tracks


def _track_from(line: str, where: str) -> Track:
    try:
        values: dict[str, Any] = json.loads(line)
        known = {field.name for field in dataclasses.fields(Track)}
        renamed = {_RENAMED.get(key, key): value for key, value in values.items()}
        return Track(**{key: value for key, value in renamed.items() if key in known})
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{where} is not a track: {error}; write the manifest again") from None
