"""A score to sound: fluidsynth plays it with a soundfont, then it is set to its loudness."""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from bandtok.errors import DataError
from bandtok.tokens.atomic import replacing
from research.corpus.rendered.score import Score, save_midi

SAMPLE_RATE = 44_100
_GAIN = 0.25
_KNEE = 0.7
_SILENCE_DB = -60.0
_BLOCK = 4096


def require_fluidsynth() -> str:
    """Return the path of the program.

    Raises:
        DataError: if it is not installed.
    """
    found = shutil.which("fluidsynth")
    if found is None:
        raise DataError("fluidsynth is not installed; install it (apt-get install fluidsynth)")
    return found


def render(
    score: Score, soundfont: Path, target: Path, *, loudness_db: float, room: float
) -> tuple[float, float]:
    """Write a FLAC file of 44.1 kHz, 16 bits, two channels.

    Args:
        score: to play.
        soundfont: .sf2 or .sf3 file.
        target: file to write, atomically.
        loudness_db: wanted root mean square of the sounding parts, dB below full scale; peaks that
            would go beyond full scale are bent, so that very loud pieces stay a little below.
        room: size of the room, 0 to 1.

    Returns:
        Seconds, and the loudness reached in dB.

    Raises:
        DataError: if fluidsynth or mido is missing or fails, or the piece is silent.
    """
    waveform = without_silent_end(synthesize(score, soundfont, room))
    level = loudness(waveform)
    if level < _SILENCE_DB:
        raise DataError(f"{target.name} came out silent with {soundfont.name}")
    loud = bent(waveform * 10 ** ((loudness_db - level) / 20))
    with replacing(target) as temporary:
        soundfile.write(temporary, loud.T, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return loud.shape[1] / SAMPLE_RATE, loudness(loud)


def synthesize(score: Score, soundfont: Path, room: float) -> np.ndarray:
    """Return float32 [2, samples] as fluidsynth plays it."""
    program = require_fluidsynth()
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "piece.mid", Path(folder) / "piece.wav"
        save_midi(score, midi)
        command = [program, "-niq", "-r", str(SAMPLE_RATE), "-g", str(_GAIN)]
        command += ["-O", "float", "-T", "wav", "-F", str(wav)]
        for setting, value in _settings(room).items():
            command += ["-o", f"synth.{setting}={value}"]
        done = subprocess.run(
            [*command, str(soundfont), str(midi)],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode or not wav.exists():
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
            raise DataError(f"fluidsynth failed: {lines[-1]}")
        waveform, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    return waveform.T


def loudness(waveform: np.ndarray) -> float:
    """Return the root mean square in dB of what sounds: blocks within 30 dB of the loudest."""
    mono = waveform.mean(axis=0)
    whole = mono[: len(mono) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    power = (whole.astype(np.float64) ** 2).mean(axis=1) if len(whole) else np.zeros(1)
    sounding = power[power > power.max() * 1e-3] if power.max() > 0 else power
    return 10 * math.log10(float(sounding.mean()) + 1e-12)


def without_silent_end(waveform: np.ndarray) -> np.ndarray:
    """Return the waveform up to the last block that is within 60 dB of its peak."""
    loud = np.flatnonzero(np.abs(waveform).max(axis=0) > np.abs(waveform).max(initial=0.0) * 1e-3)
    end = loud[-1] + _BLOCK if len(loud) else 0
    return waveform[:, :end]


def bent(waveform: np.ndarray) -> np.ndarray:
    """Return the waveform with what lies above 0.7 bent to stay below full scale."""
    size = np.abs(waveform)
    over = np.tanh((size - _KNEE) / (1 - _KNEE)) * (0.99 - _KNEE) + _KNEE
    return np.where(size > _KNEE, np.sign(waveform) * over, waveform).astype(np.float32)


def _settings(room: float) -> dict[str, object]:
    return {
        "reverb.active": 1 if room > 0.02 else 0,
        "reverb.room-size": round(room, 2),
        "reverb.level": round(0.2 + 0.6 * room, 2),
        "reverb.damp": 0.3,
        "reverb.width": 0.8,
        "chorus.active": 0,
        "dynamic-sample-loading": 1,
        "polyphony": 96,
    }
