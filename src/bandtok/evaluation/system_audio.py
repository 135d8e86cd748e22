"""Excerpts and reconstructions as audio files, so that any other codec can be measured too.

    DIR/original/NAME.wav, DIR/SYSTEM/NAME.wav  <->  excerpt of a track

NAME is the same on every run: the track's path, a checksum of it, and the start in milliseconds.
Code the files of DIR/original with another codec, keep the names, and give the folder back.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from bandtok.errors import AudioError, ConfigError, DataError
from bandtok.evaluation.excerpts import Excerpt
from bandtok.signal.audio import Audio, load_audio
from bandtok.tokens import atomic

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
_MOST_MISSING_SECONDS = 0.1
_LONGEST_NAME = 80
_SYSTEM_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


@dataclass(frozen=True, kw_only=True)
class SystemAudio:
    """Reconstructions that another program made of the same excerpts.

    Attributes:
        name: of the system, as written in tables: letters, digits, "_", ".", "+", "-".
        folder: holds one file per excerpt, named as `excerpt_name` says, with any of the suffixes
            .wav, .flac, .ogg, .mp3; at any rate, mono or stereo.
    """

    name: str
    folder: str

    def __post_init__(self) -> None:
        if not _SYSTEM_NAME.fullmatch(self.name) or not self.folder:
            raise ConfigError(
                f"got system audio {self.name!r} in folder {self.folder!r}; expected NAME=FOLDER "
                "with a name of letters, digits, '_', '.', '+' or '-'"
            )


def parse_system_audio(text: str) -> SystemAudio:
    """Read "NAME=FOLDER".

    Raises:
        ConfigError: for anything else.
    """
    name, equals, folder = text.partition("=")
    if not equals:
        raise ConfigError(f"got system audio {text!r}; expected NAME=FOLDER")
    return SystemAudio(name=name, folder=folder)


def check_system_audio(systems: Sequence[SystemAudio], taken: Sequence[str]) -> None:
    """Check the names and that each folder exists.

    Args:
        systems: to be measured.
        taken: names that may not be used.

    Raises:
        ConfigError: if a name is taken or occurs twice.
        DataError: if a folder does not exist.
    """
    names = list(taken)
    for system in systems:
        if system.name in names:
            raise ConfigError(
                f"got system audio named {system.name!r}, which is taken; choose another name"
            )
        if not Path(system.folder).is_dir():
            raise DataError(
                f"system audio {system.name!r}: {system.folder!r} is not a folder; expected one "
                "with a file for each excerpt, named as --save-audio names them"
            )
        names.append(system.name)


def excerpt_name(excerpt: Excerpt) -> str:
    """Return the file name of an excerpt, without suffix.

    The path of the track without its suffix and with "-" for all but letters, digits, "_" and ".",
    at most its last 80 characters; eight hexadecimal digits of the SHA-256 of the whole path, so
    that two tracks never share a name; the start in milliseconds, six digits or more.
    """
    path = excerpt.track.path
    plain = re.sub(r"[^A-Za-z0-9_.]+", "-", os.path.splitext(path)[0]).strip("-.")[-_LONGEST_NAME:]
    checksum = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain or 'track'}-{checksum}-{round(1000 * excerpt.start_seconds):06d}ms"


def save_system_audio(
    folder: str | os.PathLike[str], system: str, excerpt: Excerpt, audio: Audio
) -> Path:
    """Write folder/system/NAME.wav in 32-bit float, so that nothing clips; return the file."""
    path = Path(folder) / system / f"{excerpt_name(excerpt)}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as temporary:
        soundfile.write(
            temporary, audio.waveform.T, audio.sample_rate, format="WAV", subtype="FLOAT"
        )
    return path


def load_system_audio(system: SystemAudio, excerpt: Excerpt, reference: Audio) -> Audio:
    """Read another system's reconstruction as mono, at the rate and length of the original.

    Codecs fill up their last frame: what is longer is cut, and up to 0.1 s that is missing at the
    end is filled with silence. A delay at the start is not corrected.

    Raises:
        AudioError: if the file is missing, cannot be read, or is shorter than that.
    """
    name = excerpt_name(excerpt)
    candidates = [Path(system.folder) / f"{name}{suffix}" for suffix in AUDIO_SUFFIXES]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise AudioError(
            f"{system.name}: no file {name}.wav (or {', '.join(AUDIO_SUFFIXES[1:])}) in "
            f"{system.folder!r}"
        )
    waveform = load_audio(path, reference.sample_rate, mono=True).waveform
    length = reference.waveform.shape[1]
    missing = max(0, length - waveform.shape[1])
    if missing > _MOST_MISSING_SECONDS * reference.sample_rate:
        raise AudioError(
            f"{system.name}: {path.name} has {waveform.shape[1] / reference.sample_rate:.2f} s; "
            f"expected {reference.seconds:.2f} s"
        )
    return Audio(np.pad(waveform[:, :length], ((0, 0), (0, missing))), reference.sample_rate)
