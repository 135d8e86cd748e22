"""Audio files to float32 waveforms and back: one loader, one resampler, atomic writes.

Everything is read in blocks through libsndfile and resampled by one streaming soxr resampler, so
that a whole file and a streamed file give the same samples. Knows nothing of mels or tokens.
The model is mono: :meth:`Audio.mono` and ``mono=True`` mix channels (:mod:`bandtok.signal.mixing`).
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path

import numpy as np
import soundfile
import soxr

from bandtok.errors import AudioError
from bandtok.provenance import Provenance, from_comment
from bandtok.signal.audio_player import player_html
from bandtok.signal.audio_writer import AudioWriter, ClippingWarning, SampleFormat, limited_note
from bandtok.signal.container import cut_off, with_true_header
from bandtok.signal.find_files import UNREADABLE_SUFFIXES
from bandtok.signal.mixing import mixed, mixing_gains, repaired

_BLOCK_FRAMES = 1 << 16
_MIN_SAMPLE_RATE, _MAX_SAMPLE_RATE = 1_000, 768_000
_MAX_CHANNELS = 64
_SLACK_SAMPLES = 4 * 1152  # an MP3 decoder's delay, which some headers count and some do not
_MAX_SAMPLES_PER_BYTE = 8192  # FLAC packs silence best: 65,535 samples in 12 bytes or more


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """What a file's header says: length in samples at its own rate, rate in Hz, channels."""

    samples: int
    sample_rate: int
    channels: int

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


@dataclass(frozen=True)
class Audio:
    """A waveform in memory.

    Args:
        waveform: numbers [channels, samples], or [samples] for mono, as an array or tensor; kept as
            float32, nominally in [-1, 1]. Integers of 8 (unsigned), 16 or 32 bits are scaled from
            their full range to [-1, 1).
        sample_rate: samples per second.
        provenance: record of synthetic music (`bandtok.provenance`), written into files.

    Raises:
        AudioError: if the shape, type or rate does not fit, or there is NaN or infinity.
    """

    waveform: np.ndarray
    sample_rate: int
    provenance: Provenance | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        waveform = as_array(self.waveform)
        if waveform.ndim == 1:
            waveform = waveform[None]
        if waveform.ndim != 2 or waveform.shape[0] < 1 or waveform.dtype.kind not in "fiu":
            raise AudioError(
                f"got a waveform of shape {waveform.shape} and type {waveform.dtype}; "
                "expected numbers [channels, samples] with at least one channel"
            )
        if waveform.shape[0] > _MAX_CHANNELS:
            raise AudioError(
                f"got {waveform.shape[0]} channels; expected [channels, samples] with 1 to "
                f"{_MAX_CHANNELS} channels; transpose an array of [samples, channels]"
            )
        rate = self.sample_rate
        if not isinstance(rate, Real) or not _MIN_SAMPLE_RATE <= rate <= _MAX_SAMPLE_RATE:
            raise AudioError(
                f"got sample rate {rate!r:.60}; expected Hz, {_MIN_SAMPLE_RATE} to "
                f"{_MAX_SAMPLE_RATE}"
            )
        waveform = np.ascontiguousarray(_scaled(waveform), dtype=np.float32)
        check_finite(waveform, "the waveform")
        object.__setattr__(self, "waveform", waveform)

    def __repr__(self) -> str:
        channels, samples = self.waveform.shape
        what = f"{channels} channel{'s' if channels != 1 else ''} x {samples} samples"
        return f"Audio({what}, {self.seconds:.1f} s, {self.sample_rate} Hz)"

    def _repr_html_(self) -> str:
        """Return a player for notebooks."""
        return player_html(self)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], sample_rate: int | None = None, mono: bool = False
    ) -> Audio:
        """Load a whole file; see :func:`load_audio`."""
        return load_audio(path, sample_rate, mono)

    @property
    def seconds(self) -> float:
        result: float = self.waveform.shape[1] / self.sample_rate
        return result

    def mono(self) -> Audio:
        """Return one channel: repaired and mixed as described in `bandtok.signal.mixing`.

        Warns:
            AudioWarning: if something was repaired, or the channels cancel each other out.
        """
        name = "the waveform"
        blocks = repaired([self.waveform], self.sample_rate, name)
        gains = mixing_gains(len(self.waveform))
        return replace(self, waveform=_join(mixed(blocks, gains, name), 1))

    def resampled(self, sample_rate: int) -> Audio:
        """Return the same sound at `sample_rate` Hz (soxr, high quality)."""
        blocks = resample_blocks([self.waveform], self.sample_rate, sample_rate, len(self.waveform))
        waveform = _join(blocks, len(self.waveform))
        return replace(self, waveform=waveform, sample_rate=sample_rate)

    def save(self, path: str | os.PathLike[str], sample_format: SampleFormat = "int") -> None:
        """Write a .wav, .flac, .ogg or .mp3 file, atomically; see `AudioWriter`.

        Warns:
            ClippingWarning: if samples beyond ±1 were limited.
        """
        if limited := self.write(path, sample_format):
            warnings.warn(ClippingWarning(limited_note(limited)), stacklevel=2)

    def write(self, path: str | os.PathLike[str], sample_format: SampleFormat = "int") -> int:
        """As `save`, without a warning; return how many samples beyond ±1 were limited."""
        channels = len(self.waveform)
        with AudioWriter(
            path, self.sample_rate, channels, sample_format, self.provenance
        ) as writer:
            writer.write(self.waveform)
        return writer.limited_samples


class AudioReader:
    """An audio file that is open, made by :func:`open_audio`; read once.

    Attributes:
        name: path of the file, as it was given.
        info: what the header says.
        provenance: record of synthetic music in the file's tags, if there is one.
    """

    def __init__(self, file: soundfile.SoundFile, path: str | os.PathLike[str]) -> None:
        self._file, self.name = file, os.fspath(path)
        self.info = AudioInfo(
            samples=file.frames, sample_rate=file.samplerate, channels=file.channels
        )
        self.provenance = from_comment(file.comment)

    def blocks(self, sample_rate: int, mono: bool = True, start: int = 0) -> Iterator[np.ndarray]:
        """Yield float32 blocks [channels, n]; arguments and errors as in `stream_audio`."""
        if start:
            if not 0 <= start <= self.info.samples:
                raise AudioError(
                    f"got start {start} in {self.name!r}; expected 0 to {self.info.samples} samples"
                )
            self._file.seek(start)
        rate, channels = self.info.sample_rate, self.info.channels
        read = _file_blocks(self._file, repr(os.path.basename(self.name)))
        if mono:
            gains = mixing_gains(channels, vorbis_order=self._file.format == "OGG")
            read, channels = mixed(repaired(read, rate, self.name), gains, self.name), 1
        yield from resample_blocks(read, rate, sample_rate, channels)

    def excerpt(self, start: int, length: int) -> np.ndarray:
        """Read float32 [channels, length or fewer] from a sample on, as the file has them.

        Raises:
            AudioError: if the file is damaged there or holds NaN or infinity.
        """
        name = repr(os.path.basename(self.name))
        try:
            self._file.seek(start)
            samples = self._file.read(length, dtype="float32", always_2d=True).T
        except (soundfile.LibsndfileError, RuntimeError) as error:
            reason = getattr(error, "error_string", str(error))
            raise AudioError(f"{name} is damaged: {reason}") from None
        check_finite(samples, name)
        result: np.ndarray = samples
        return result


@contextlib.contextmanager
def open_audio(path: str | os.PathLike[str]) -> Iterator[AudioReader]:
    """Open a file for one pass: header and samples.

    Raises:
        AudioError: if the file is missing, empty, or not audio that libsndfile reads.
    """
    with _opened(path) as file:
        yield AudioReader(file, path)


def probe_audio(path: str | os.PathLike[str]) -> AudioInfo:
    """Read a file's header.

    Raises:
        AudioError: if the file is missing, empty, or not audio that libsndfile reads.
    """
    with open_audio(path) as reader:
        return reader.info


def load_audio(
    path: str | os.PathLike[str], sample_rate: int | None = None, mono: bool = False
) -> Audio:
    """Load a whole file.

    Args:
        path: anything libsndfile reads.
        sample_rate: Hz to resample to; None keeps the file's own.
        mono: mix all channels to one.

    Raises:
        AudioError: if the file is missing, unreadable, damaged or holds NaN or infinity.
    """
    with open_audio(path) as reader:
        channels = 1 if mono else reader.info.channels
        rate = sample_rate or reader.info.sample_rate
        return Audio(_join(reader.blocks(rate, mono), channels), rate, reader.provenance)


def stream_audio(
    path: str | os.PathLike[str], sample_rate: int, mono: bool = True, start: int = 0
) -> Iterator[np.ndarray]:
    """Yield a file as float32 blocks [channels, n] at `sample_rate`, in bounded memory.

    Args:
        path: anything libsndfile reads.
        sample_rate: Hz of the blocks.
        mono: mix all channels to one.
        start: first sample to read, in the file's own rate.

    Raises:
        AudioError: if the file is missing, unreadable, damaged or holds NaN or infinity.
    """
    with open_audio(path) as reader:
        yield from reader.blocks(sample_rate, mono, start)


def resample_blocks(
    blocks: Iterable[np.ndarray], from_rate: float, to_rate: float, channels: int
) -> Iterator[np.ndarray]:
    """Resample a stream of float32 [channels, n] blocks; how it is cut makes no difference.

    Args:
        blocks: pieces of the stream.
        from_rate, to_rate: Hz; blocks pass through untouched when they are equal.
        channels: of every block.
    """
    if from_rate == to_rate:
        yield from blocks
        return
    stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality="HQ")
    for block in blocks:
        for start in range(0, block.shape[1], _BLOCK_FRAMES):
            piece = np.ascontiguousarray(block[:, start : start + _BLOCK_FRAMES].T)
            yield stream.resample_chunk(piece).reshape(-1, channels).T
    yield (
        stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)
        .reshape(-1, channels)
        .T
    )


def as_array(values: object) -> np.ndarray:
    """Return an array, list or tensor (of any device) as a numpy array."""
    detach = getattr(values, "detach", None)  # a tensor, without importing torch
    try:
        return np.asarray(values if detach is None else detach().cpu().numpy())
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise AudioError(
            f"got a waveform of type {type(values).__name__} that is no array: {reason}; "
            "expected numbers [channels, samples]"
        ) from None


def _scaled(waveform: np.ndarray) -> np.ndarray:
    """Return floats as they are, and integers scaled from the range of their type to [-1, 1)."""
    if waveform.dtype.kind == "f":
        return waveform
    kind, bits = waveform.dtype.kind, 8 * waveform.dtype.itemsize
    if (kind, bits) == ("u", 8):
        return (waveform.astype(np.float32) - 128) / 128
    if kind == "i" and bits in (16, 32):  # of either byte order
        return (waveform / 2.0 ** (bits - 1)).astype(np.float32)
    raise AudioError(
        f"got a waveform of {waveform.dtype}; expected floats in [-1, 1], or integers of type "
        "int16, int32 or uint8"
    )


def check_finite(waveform: np.ndarray, what: str) -> None:
    """Raise AudioError if `waveform` holds NaN or infinity."""
    if not np.isfinite(waveform).all():
        bad = int(waveform.size - np.isfinite(waveform).sum())
        raise AudioError(f"{what} holds {bad} NaN or infinite samples; expected finite numbers")


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[soundfile.SoundFile]:
    name = Path(path).name
    if not os.path.exists(path):
        raise AudioError(f"no such audio file: {os.fspath(path)!r}")
    if not os.path.isfile(path):
        raise AudioError(f"{os.fspath(path)!r} is not a regular file; expected an audio file")
    try:
        file = soundfile.SoundFile(os.fsencode(path))
        whole = with_true_header(os.fsencode(path), file)
        if whole:
            file.close()
            file = soundfile.SoundFile(whole)
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
        reason = getattr(error, "error_string", str(error))
        if reason.startswith("File does not exist"):  # what libsndfile says of MP3s that are none
            reason = "no audio was found in it"
        if Path(name).suffix.lower() in UNREADABLE_SUFFIXES:
            reason = "unsupported format; convert it: ffmpeg -i IN OUT.wav"
        raise AudioError(f"cannot read {name!r} as audio: {reason}") from None
    with whole or contextlib.nullcontext(), file:
        if not _MIN_SAMPLE_RATE <= file.samplerate <= _MAX_SAMPLE_RATE:
            raise AudioError(
                f"{name!r} says {file.samplerate} Hz; "
                f"expected {_MIN_SAMPLE_RATE} to {_MAX_SAMPLE_RATE} Hz"
            )
        if not 1 <= file.channels <= _MAX_CHANNELS:
            raise AudioError(
                f"{name!r} has {file.channels} channels; expected 1 to {_MAX_CHANNELS}"
            )
        size = os.path.getsize(path)
        if file.frames > _MAX_SAMPLES_PER_BYTE * size:
            raise AudioError(
                f"{name!r} says it has {file.frames} samples, too many for {size} bytes: "
                "its length is wrong; write it again with the program that made it"
            )
        yield file


def _file_blocks(file: soundfile.SoundFile, name: str) -> Iterator[np.ndarray]:
    place = file.tell()
    while True:
        try:
            block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            reason = getattr(error, "error_string", str(error))
            raise AudioError(f"{name} is damaged: {reason}") from None
        if not len(block):
            break
        place += len(block)
        check_finite(block, name)
        yield block.T
    if place < file.frames - _SLACK_SAMPLES:
        raise AudioError(f"cannot read all of {name}: {cut_off(place, file.frames)}")


def _join(blocks: Iterable[np.ndarray], channels: int) -> np.ndarray:
    return np.concatenate([np.zeros((channels, 0), np.float32), *blocks], axis=1)
