"""Audio files to float32 waveforms and back: one loader, one resampler, atomic writes.

Everything is read in blocks through libsndfile and resampled by one streaming soxr resampler, so
that a whole file and a streamed file give the same samples. Knows nothing of mels or tokens.
Stereo: the model is mono; :meth:`Audio.mono` and ``mono=True`` take the mean of all channels.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile
import soxr

from bandtok.atomic import replacing
from bandtok.errors import AudioError

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}
)
_FORMATS = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_BLOCK_FRAMES = 1 << 16
_MIN_SAMPLE_RATE, _MAX_SAMPLE_RATE = 1_000, 768_000
_MAX_CHANNELS = 64
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
        waveform: float32 [channels, samples], nominally in [-1, 1].
        sample_rate: samples per second.

    Raises:
        AudioError: if the array is not 2-D, not numeric, or holds NaN or infinity.
    """

    waveform: np.ndarray
    sample_rate: int

    def __post_init__(self) -> None:
        waveform = np.asarray(self.waveform)
        if waveform.ndim != 2 or waveform.shape[0] < 1 or waveform.dtype.kind not in "fiu":
            raise AudioError(
                f"got a waveform of shape {waveform.shape} and type {waveform.dtype}; "
                "expected numbers [channels, samples] with at least one channel"
            )
        waveform = np.ascontiguousarray(waveform, dtype=np.float32)
        check_finite(waveform, "the waveform")
        object.__setattr__(self, "waveform", waveform)

    @property
    def seconds(self) -> float:
        return self.waveform.shape[1] / self.sample_rate

    def mono(self) -> Audio:
        """Return the mean of all channels as one channel."""
        return Audio(self.waveform.mean(axis=0, keepdims=True), self.sample_rate)

    def resampled(self, sample_rate: int) -> Audio:
        """Return the same sound at `sample_rate` Hz (soxr, high quality)."""
        blocks = resample_blocks([self.waveform], self.sample_rate, sample_rate, len(self.waveform))
        return Audio(_join(blocks, len(self.waveform)), sample_rate)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a .wav, .flac, .ogg or .mp3 file, atomically; samples beyond ±1 are clipped."""
        with AudioWriter(path, self.sample_rate, self.waveform.shape[0]) as writer:
            writer.write(self.waveform)


class AudioWriter:
    """Write audio block by block; the file appears under its name only when all is written.

    Args:
        path: target; its suffix (.wav, .flac, .ogg, .mp3) decides the format.
        sample_rate: Hz.
        channels: number of channels of every block.

    Raises:
        AudioError: for an unknown suffix or a rate the format cannot hold.
    """

    def __init__(self, path: str | os.PathLike[str], sample_rate: int, channels: int = 1) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in _FORMATS:
            raise AudioError(
                f"cannot write {self.path.name!r}: expected one of {', '.join(sorted(_FORMATS))}"
            )
        container, subtype = _FORMATS[suffix]
        self._cleanup = contextlib.ExitStack()
        temporary = self._cleanup.enter_context(replacing(self.path))
        try:
            self._disk = self._cleanup.enter_context(_DiskFile(temporary))
            self._file = soundfile.SoundFile(
                self._disk, "w", sample_rate, channels, subtype, format=container
            )
        except (soundfile.LibsndfileError, OSError, ValueError, TypeError) as error:
            self._cleanup.__exit__(type(error), error, None)
            reason = getattr(error, "strerror", None) or getattr(error, "error_string", error)
            raise AudioError(
                f"cannot write {self.path.name!r} at {sample_rate} Hz, {channels} channels: "
                f"{reason}"
            ) from None

    def write(self, waveform: np.ndarray) -> None:
        """Append float [channels, samples].

        Raises:
            AudioError: if the disk is full or the file has reached its greatest size.
        """
        clipped = np.clip(waveform, -1.0, 1.0).T
        try:
            for start in range(0, len(clipped), _BLOCK_FRAMES):
                # In pieces: libvorbis overflows its stack on huge writes.
                self._file.write(clipped[start : start + _BLOCK_FRAMES])
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise self._failure(error) from None

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failed: BaseException | None = None
        try:
            self._file.close()
            self._disk.check()
        except (soundfile.LibsndfileError, OSError) as late:
            failed = self._failure(late)
        told = error or failed
        self._cleanup.__exit__(type(told) if told else None, told, trace)
        if error is None and failed is not None:
            raise failed

    def _failure(self, error: Exception) -> AudioError:
        known = self._disk.error or error
        # soundfile asserts that libsndfile took all samples; it says nothing more then.
        reason = getattr(known, "strerror", None) or getattr(known, "error_string", "not all taken")
        return AudioError(f"cannot write {self.path.name!r}: {reason}")


class _DiskFile:
    """A new file for libsndfile, which forgets errors of its last writes: this remembers them.

    Unbuffered, so that no later seek can fail; libsndfile has a buffer of its own.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115 (closed by __exit__)
        self.error: OSError | None = None
        self.seek, self.tell, self.read = self._file.seek, self._file.tell, self._file.read

    def write(self, data: memoryview) -> int:
        """Write all of `data`; return how much of it the file took."""
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as error:
            self.error = self.error or error
        return done

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def check(self) -> None:
        """Raise the first error of a write."""
        if self.error:
            raise self.error

    def __enter__(self) -> _DiskFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def probe_audio(path: str | os.PathLike[str]) -> AudioInfo:
    """Read a file's header.

    Raises:
        AudioError: if the file is missing, empty, or not audio that libsndfile reads.
    """
    with _opened(path) as file:
        return AudioInfo(samples=file.frames, sample_rate=file.samplerate, channels=file.channels)


def load_audio(
    path: str | os.PathLike[str], sample_rate: int | None = None, mono: bool = False
) -> Audio:
    """Load a whole file.

    Args:
        path: anything libsndfile reads.
        sample_rate: Hz to resample to; None keeps the file's own.
        mono: take the mean of all channels.

    Raises:
        AudioError: if the file is missing, unreadable, damaged or holds NaN or infinity.
    """
    info = probe_audio(path)
    channels = 1 if mono else info.channels
    rate = sample_rate or info.sample_rate
    return Audio(_join(stream_audio(path, rate, mono=mono), channels), rate)


def stream_audio(
    path: str | os.PathLike[str], sample_rate: int, mono: bool = True, start: int = 0
) -> Iterator[np.ndarray]:
    """Yield a file as float32 blocks [channels, n] at `sample_rate`, in bounded memory.

    Args:
        path: anything libsndfile reads.
        sample_rate: Hz of the blocks.
        mono: take the mean of all channels.
        start: first sample to read, in the file's own rate.

    Raises:
        AudioError: if the file is missing, unreadable, damaged or holds NaN or infinity.
    """
    with _opened(path) as file:
        if start:
            if not 0 <= start <= file.frames:
                raise AudioError(
                    f"got start {start} in {Path(path).name!r}; expected 0 to {file.frames} samples"
                )
            file.seek(start)
        channels = 1 if mono else file.channels
        yield from resample_blocks(
            _file_blocks(file, Path(path).name, mono), file.samplerate, sample_rate, channels
        )


def resample_blocks(
    blocks: Iterable[np.ndarray], from_rate: int, to_rate: int, channels: int
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


def find_audio_files(folder: str | os.PathLike[str]) -> list[Path]:
    """List audio files below `folder` by suffix, sorted; hidden files and folders are left out."""
    root = Path(folder)
    return sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
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
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
        reason = getattr(error, "error_string", str(error))
        raise AudioError(f"cannot read {name!r} as audio: {reason}") from None
    with file:
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
                "its length is wrong or not known; write it again with the program that made it"
            )
        yield file


def _file_blocks(file: soundfile.SoundFile, name: str, mono: bool) -> Iterator[np.ndarray]:
    while True:
        try:
            block = file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            reason = getattr(error, "error_string", str(error))
            raise AudioError(f"{name!r} is damaged: {reason}") from None
        if not len(block):
            return
        check_finite(block, repr(name))
        yield block.mean(axis=1)[None] if mono else block.T


def _join(blocks: Iterable[np.ndarray], channels: int) -> np.ndarray:
    return np.concatenate([np.zeros((channels, 0), np.float32), *blocks], axis=1)
