"""Writing audio files: atomic, block by block, without flat clipping.

Integer formats hold no sample above full scale. Where there are such samples, the gain of their
neighborhood is lowered by a limiter and a count is kept; float files hold them as they are.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
import soundfile

from bandtok.errors import AudioError, AudioWarning, ConfigError
from bandtok.provenance import Provenance, to_comment
from bandtok.signal.true_peak import Limiter
from bandtok.tokens.atomic import replacing

SampleFormat = Literal["int", "float"]
_FORMATS = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_BLOCK_FRAMES = 1 << 16


class ClippingWarning(AudioWarning):
    """Samples above full scale were limited when a file was written."""


def limited_note(samples: int) -> str:
    """Return the line that says how many samples were limited, and what to do about it."""
    return (
        f"{samples} samples above full scale were limited; "
        "a .wav file of sample format 'float' keeps them"
    )


class AudioWriter:
    """Write audio block by block; the file appears under its name only when all is written.

    The files hold integers of 24 bits or are compressed, and players cut both off at full scale.
    Where samples lie beyond ±1, the gain of their neighborhood is therefore lowered (5 ms ahead,
    released with a time constant of 60 ms); all other samples are written as they are. Peaks
    *between* samples are left alone, so that what a file held can be written again unchanged.

    Args:
        path: target; its suffix (.wav, .flac, .ogg, .mp3) decides the format.
        sample_rate: Hz.
        channels: number of channels of every block.
        sample_format: "int", or "float" for a .wav file of 32-bit floats, which are not limited.
        provenance: record of synthetic music, kept in the file's tags.

    Attributes:
        limited_samples: samples beyond ±1 so far, over all channels; 0 with "float".

    Raises:
        AudioError: for an unknown suffix or a rate the format cannot hold. ConfigError: for an
            unknown sample format, or "float" with another suffix than .wav.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sample_rate: int,
        channels: int = 1,
        sample_format: SampleFormat = "int",
        provenance: Provenance | None = None,
    ) -> None:
        self.path = Path(path)
        suffix = self.path.suffix.lower()
        if suffix not in _FORMATS:
            raise AudioError(
                f"cannot write {self.path.name!r}: expected one of {', '.join(sorted(_FORMATS))}"
            )
        check_sample_format(self.path, sample_format)
        container, subtype = _FORMATS[suffix]
        self._limiter: Limiter | None = None
        if sample_format == "float":
            subtype = "FLOAT"
        self._cleanup = contextlib.ExitStack()
        temporary = self._cleanup.enter_context(replacing(self.path))
        try:
            self._disk = self._cleanup.enter_context(_DiskFile(temporary))
            self._file = soundfile.SoundFile(
                self._disk, "w", sample_rate, channels, subtype, format=container
            )
            if provenance is not None:
                self._file.software = str(provenance.get("software"))
                self._file.comment = to_comment(provenance)
            if sample_format == "int":
                self._limiter = Limiter(sample_rate, channels, 0.0, between_samples=False)
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
        for start in range(0, waveform.shape[1], _BLOCK_FRAMES):
            # In pieces: libvorbis overflows its stack on huge writes.
            block = waveform[:, start : start + _BLOCK_FRAMES]
            self._put(self._limiter.process(block) if self._limiter else block)

    @property
    def limited_samples(self) -> int:
        return self._limiter.samples_above if self._limiter else 0

    def _put(self, block: np.ndarray) -> None:
        if self._limiter:
            block = np.clip(block, -1.0, 1.0)  # the limiter's gain is rounded
        try:
            self._file.write(block.T)
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
            if self._limiter and error is None:
                self._put(self._limiter.finish())
            self._file.close()
            self._disk.check()
        except AudioError as late:
            failed = late
            with contextlib.suppress(soundfile.LibsndfileError, OSError):
                self._file.close()
        except (soundfile.LibsndfileError, OSError) as late:
            failed = self._failure(late)
        raised = error or failed
        self._cleanup.__exit__(type(raised) if raised else None, raised, trace)
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


def check_sample_format(path: str | os.PathLike[str], sample_format: str) -> None:
    """Raise ConfigError unless a file of this suffix can hold samples of this format."""
    if sample_format not in ("int", "float"):
        raise ConfigError(f"got a sample format of {sample_format!r}; expected 'int' or 'float'")
    if sample_format == "float" and Path(path).suffix.lower() != ".wav":
        raise ConfigError(
            f"got the sample format 'float' for {Path(path).name!r}; only .wav files hold floats"
        )
