"""A corpus as experiments see it: whole, with less training music, or made of synthetic sounds.

    folder of audio or manifest -> Corpus; hours -> a folder for `train` and `tokenize_corpus`

A view is a folder with a manifest of its own and links to the corpus's files, so that nothing is
copied and the cache of decoded audio is shared. Smaller views are parts of larger ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np

from bandtok.data.manifest import (
    MANIFEST_NAME,
    Track,
    load_manifest,
    manifest_folder,
    save_manifest,
)
from bandtok.data.segments import ATTRIBUTES_NAME
from bandtok.data.synthetic import synthetic_crop
from bandtok.errors import DataError
from bandtok.signal.audio import Audio
from bandtok.training.run import CACHE_FOLDER
from research.claims.rows import size_name

_RATE = 44_100


class Corpus:
    """Music to learn from and music held out.

    Args:
        data: manifest.jsonl, a folder that holds one, or a plain folder of audio.
        views: folder for smaller views.

    Raises:
        DataError: if there is no track to train on, or none held out.
    """

    def __init__(self, data: Path, views: Path) -> None:
        self.data, self._views = data, views
        self.tracks = load_manifest(data)
        self.held_out = self._held_out_split()
        if not self._of("train"):
            raise DataError(f"{data} has no tracks in split 'train'; make a manifest with some")

    @property
    def identity(self) -> str:
        """A hash over the tracks: the same for the same corpus wherever it lies."""
        facts = [(track.path, track.seconds, track.split) for track in self.tracks]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]

    @property
    def hours(self) -> float:
        """Hours of training music."""
        return sum(track.seconds for track in self._of("train")) / 3600

    def view(self, hours: float | None) -> Path:
        """Return a folder with at most so much training music, at least a track; None for all.

        What is held out is the same in every view.
        """
        if hours is None or hours >= self.hours:
            return self.data
        folder = self._views / size_name(hours)
        chosen = {track.path for track in _up_to(self._of("train"), hours)}
        tracks = [t for t in self.tracks if t.split != "train" or t.path in chosen]
        self._link(folder, tracks)
        save_manifest(tracks, folder / MANIFEST_NAME)
        return folder

    def _of(self, split: str) -> list[Track]:
        return [track for track in self.tracks if track.split == split]

    def _held_out_split(self) -> str:
        for split in ("test", "valid"):
            if self._of(split):
                return split
        raise DataError(
            f"{self.data} has no tracks in split 'test' or 'valid'; expected some to measure on"
        )

    def _link(self, folder: Path, tracks: Sequence[Track]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        root = manifest_folder(self.data).resolve()
        (root / CACHE_FOLDER).mkdir(exist_ok=True)
        paths = [path for track in tracks for path in (track.path, *track.stems)]
        names = {PurePosixPath(path).parts[0] for path in paths} | {CACHE_FOLDER, ATTRIBUTES_NAME}
        for name in sorted(names):
            link = folder / name
            if (root / name).exists():
                with suppress(FileExistsError):  # made before, or by another process just now
                    link.symlink_to(root / name)


def synthetic_corpus(folder: Path, seed: int = 0) -> Path:
    """Write twelve short recordings of synthetic sounds with a manifest, and return the folder.

    Six are to train on (4 s each), two to validate and four to test (2 s each).
    """
    if (folder / MANIFEST_NAME).exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    tracks = []
    for number in range(12):
        split = "train" if number < 6 else "valid" if number < 8 else "test"
        seconds = 4.0 if split == "train" else 2.0
        rng = np.random.default_rng((seed, number))
        samples = _sounds(rng, round(seconds * _RATE))
        name = f"{split}-{number:02d}.flac"
        Audio(samples[None], _RATE).save(folder / name)
        tracks.append(
            Track(
                path=name,
                seconds=seconds,
                sample_rate=_RATE,
                channels=1,
                bandwidth_hz=_RATE / 2,
                title=f"Sounds {number}",
                style=["synth"],
                split=split,
            )
        )
    save_manifest(tracks, folder / MANIFEST_NAME)
    return folder


def _sounds(rng: np.random.Generator, samples: int) -> np.ndarray:
    layers = [synthetic_crop(rng, samples, _RATE) for _ in range(3)]
    noise = 1e-3 * rng.standard_normal(samples)
    mixed: np.ndarray = np.clip(sum(layers, noise), -1, 1)
    return (mixed - mixed.mean()).astype(np.float32)


def _up_to(tracks: Sequence[Track], hours: float) -> list[Track]:
    """Take tracks in an order of their own as long as so much music is not exceeded."""
    ordered = sorted(tracks, key=lambda t: hashlib.sha256(f"size {t.path}".encode()).digest())
    chosen: list[Track] = []
    seconds = 0.0
    for track in ordered:
        if chosen and seconds + track.seconds > hours * 3600:
            break
        chosen.append(track)
        seconds += track.seconds
    return chosen
