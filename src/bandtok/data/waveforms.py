"""Tracks of a manifest as mono 16-bit sample arrays on disk, and random crops of them.

A track is decoded and resampled once, into a cache folder; a crop then reads its samples alone, and
no file stays open. The crops of a step depend only on (seed, step), so that a resumed run sees the
same data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import soxr

from bandtok.data.manifest import Track
from bandtok.data.synthetic import synthetic_crop
from bandtok.data.track_audio import content_key, track_blocks
from bandtok.errors import AudioError, ConfigError, DataError
from bandtok.tokens.atomic import replacing

Progress = Callable[[int, int], None]


class SampleFile:
    """Mono int16 samples in a file of nothing else, which is open only while it is read.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._length = path, path.stat().st_size // 2

    def __len__(self) -> int:
        return self._length

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return int16 samples `start` to `stop` - 1, which must be inside the file."""
        return np.fromfile(self._path, np.int16, stop - start, offset=2 * start)


class WaveformStore:
    """Decoded tracks on disk.

    Args:
        tracks: of one manifest.
        root: folder that the tracks' paths are relative to.
        cache: folder for the decoded arrays (about 320 MB an hour).
        sample_rate: Hz of the arrays.
        progress: called with (tracks done, tracks in all).
        warn: called with one line for each track that cannot be read; such tracks are left out.

    Raises:
        DataError: if no track can be read.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        root: Path,
        cache: Path,
        sample_rate: int,
        progress: Progress | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        cache.mkdir(parents=True, exist_ok=True)
        self.sample_rate = sample_rate
        self.tracks: list[Track] = []
        self.samples: list[SampleFile] = []
        for done, track in enumerate(tracks):
            try:
                samples = _decoded(track, root, cache, sample_rate)
                if not len(samples):
                    raise AudioError("it holds no samples")
            except AudioError as error:
                if warn:
                    warn(f"left out {track.path}: {error}")
                continue
            self.tracks.append(track)
            self.samples.append(samples)
            if progress:
                progress(done + 1, len(tracks))
        if not self.samples:
            raise DataError(
                f"got {len(tracks)} tracks below {root}, none of them readable; "
                "expected at least one audio file"
            )

    @classmethod
    def joined(cls, stores: Iterable[WaveformStore]) -> WaveformStore:
        """Return one store of all the tracks of several (at least one)."""
        parts = list(stores)
        whole = cls.__new__(cls)
        whole.sample_rate = parts[0].sample_rate
        whole.tracks = [track for part in parts for track in part.tracks]
        whole.samples = [samples for part in parts for samples in part.samples]
        return whole

    @property
    def num_samples(self) -> int:
        return sum(len(samples) for samples in self.samples)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How crops are varied.

    Attributes:
        gain_db: range of a random gain; what then lies beyond full scale is clipped.
        speed: range of a random speed, which moves pitch and tempo together.
        synthetic_share: share of crops that are synthetic sounds instead of music.
        bandwidth_power: tracks are sampled in proportion to length times (bandwidth / half of the
            sample rate) to this power, so that music with its treble cut off counts less.
    """

    gain_db: tuple[float, float] = (0.0, 0.0)
    speed: tuple[float, float] = (1.0, 1.0)
    synthetic_share: float = 0.0
    bandwidth_power: float = 0.0

    def __post_init__(self) -> None:
        if self.gain_db[0] > self.gain_db[1]:
            raise ConfigError(f"got gain_db {self.gain_db}; expected the lower one first")
        if not 0.25 <= self.speed[0] <= self.speed[1] <= 4.0:
            raise ConfigError(f"got speed {self.speed}; expected two numbers from 0.25 to 4")
        if not 0.0 <= self.synthetic_share <= 1.0:
            raise ConfigError(f"got synthetic_share {self.synthetic_share}; expected 0 to 1")


class CropSampler:
    """Random crops, each track sampled in proportion to its length.

    Args:
        store: decoded tracks.
        crop_samples: length of a crop.
        batch_size: crops in a batch.
        augmentation: how they are varied; not at all by default.
        seed: of the sampling.
    """

    def __init__(
        self,
        store: WaveformStore,
        crop_samples: int,
        batch_size: int,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self.store, self.seed = store, seed
        self.crop_samples, self.batch_size = crop_samples, batch_size
        self.augmentation = augmentation or Augmentation()
        lengths = np.array([len(samples) for samples in store.samples], dtype=np.float64)
        reach = np.array([track.bandwidth_hz for track in store.tracks]) * 2 / store.sample_rate
        shares = lengths * np.clip(reach, 0.01, 1.0) ** self.augmentation.bandwidth_power
        self._shares = shares / shares.sum()

    def batch(self, step: int) -> np.ndarray:
        """Return float32 [batch, 1, samples] for a step; always the same for the same step."""
        rng = np.random.default_rng((self.seed, step))
        return np.stack([self._crop(rng)[None] for _ in range(self.batch_size)])

    def _crop(self, rng: np.random.Generator) -> np.ndarray:
        chosen = self.augmentation
        if chosen.synthetic_share and rng.random() < chosen.synthetic_share:
            return synthetic_crop(rng, self.crop_samples, self.store.sample_rate)
        samples = self.store.samples[rng.choice(len(self._shares), p=self._shares)]
        speed = rng.uniform(*chosen.speed) if chosen.speed[0] < chosen.speed[1] else 1.0
        length = ceil(self.crop_samples * speed)
        reach = length // 4  # now and then a crop begins or ends in silence
        start = int(rng.integers(-reach, max(len(samples) - length + reach, 1)))
        gain = np.float32(10 ** (rng.uniform(*chosen.gain_db) / 20))
        crop = read_crop(samples, start, length)
        if length != self.crop_samples:
            crop = _stretched(crop, self.crop_samples)
        return np.clip(crop * gain, -1.0, 1.0)


def read_crop(samples: SampleFile, start: int, length: int) -> np.ndarray:
    """Return float32 [length] from `start`, silent before the track begins and after its end."""
    crop = np.zeros(length, np.float32)
    first, last = max(start, 0), min(start + length, len(samples))
    if last > first:
        crop[first - start : last - start] = samples.read(first, last) / np.float32(32768)
    return crop


def _stretched(crop: np.ndarray, length: int) -> np.ndarray:
    """Resample to `length` samples, whatever that does to the pitch."""
    moved: np.ndarray = soxr.resample(crop, len(crop), length, quality="MQ")
    out = np.zeros(length, np.float32)
    out[: min(length, len(moved))] = moved[:length]
    return out


def _decoded(track: Track, root: Path, cache: Path, sample_rate: int) -> SampleFile:
    key = f"{root.resolve()}|{content_key(track, root)}|{sample_rate}"
    target = cache / f"{hashlib.sha256(key.encode(errors='surrogateescape')).hexdigest()[:24]}.i16"
    if not target.exists():
        with replacing(target) as temporary, temporary.open("wb") as file:
            for block in track_blocks(track, root, sample_rate):
                file.write(np.round(np.clip(block, -1, 1) * 32767).astype(np.int16).tobytes())
            file.flush()
    return SampleFile(target)
