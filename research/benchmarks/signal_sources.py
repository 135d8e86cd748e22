"""Real signals for benchmarks/signals.py out of Debian packages: spoken words, solo instruments.

    folder -> clips, and a line for each kind that could not be had

Packages are fetched with apt-get and unpacked without root; nothing fetched once is fetched again.
Instruments are phrases played here with the samples of a General MIDI sound font.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandtok import Audio
from bandtok.errors import AudioError, BandTokError, DataError, MissingDependency
from bandtok.signal.audio import load_audio
from bandtok.signal.find_files import find_audio_files
from research.benchmarks.signal_clips import Clip
from research.corpus.debian import download_package, find_package, package_version, unpack_deb

ALSA = "alsa-utils"
WORDS = "ktuberling-data"
SOUND_FONT = "timgm6mb-soundfont"
LANGUAGES = ("de", "el", "en", "fr", "lt", "uk")
SPEECH_KIND = "speech"
INSTRUMENT_KIND = "solo instruments"
_PEAK = 0.5
_CHANNEL = 0
_DRUM_BANK = 128
_VELOCITY = 100
_RELEASE_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """A sound of General MIDI and the octave it plays in; bank 128 is the drum kit."""

    name: str
    program: int
    lowest_key: int
    bank: int = 0


INSTRUMENTS = (
    Instrument(name="piano", program=0, lowest_key=48),
    Instrument(name="glockenspiel", program=9, lowest_key=84),
    Instrument(name="church organ", program=19, lowest_key=48),
    Instrument(name="nylon guitar", program=24, lowest_key=48),
    Instrument(name="fingered bass", program=33, lowest_key=28),
    Instrument(name="violin", program=40, lowest_key=67),
    Instrument(name="choir", program=52, lowest_key=55),
    Instrument(name="trumpet", program=56, lowest_key=58),
    Instrument(name="flute", program=73, lowest_key=72),
    Instrument(name="drum kit", program=0, lowest_key=36, bank=_DRUM_BANK),
)
# Steps above the lowest key: a scale up, an arpeggio down, one note repeated.
_PHRASE = (0, 2, 4, 5, 7, 9, 11, 12, 12, 7, 4, 0, 7, 7, 7, 7)
_BEAT = ((0, 6), (6,), (2, 6), (6,), (0, 6), (0, 6), (2, 6), (10,))  # bass drum 36, hi-hat 42, ...


@dataclass(frozen=True, kw_only=True)
class Found:
    """Clips, packages with versions, and a line for each source that was left out."""

    clips: list[Clip]
    packages: list[str]
    left_out: list[str]


def real_clips(folder: Path, seconds: float, sample_rate: int) -> Found:
    """Return what can be had of speech and instruments.

    Args:
        folder: gets packages/ and unpacked/.
        seconds: length of each clip.
        sample_rate: Hz.
    """
    sources: tuple[tuple[str, str, Callable[[Path, float, int], list[Clip]]], ...] = (
        (SPEECH_KIND, ALSA, _channel_names),
        (SPEECH_KIND, WORDS, _words),
        (INSTRUMENT_KIND, SOUND_FONT, _instruments),
    )
    found = Found(clips=[], packages=[], left_out=[])
    for kind, package, make in sources:
        try:
            unpacked, version = _fetched(package, folder)
            found.clips.extend(make(unpacked, seconds, sample_rate))
            found.packages.append(f"{package} {version}")
        except BandTokError as error:
            found.left_out.append(f"{kind} from {package}: {error}")
    return found


def _fetched(package: str, folder: Path) -> tuple[Path, str]:
    store = folder / "packages"
    deb = find_package(package, [store]) or download_package(package, store)
    unpacked = folder / "unpacked" / package
    if not unpacked.is_dir():
        unpack_deb(deb, unpacked)
    return unpacked, package_version(deb)


def _channel_names(unpacked: Path, seconds: float, sample_rate: int) -> list[Clip]:
    """One speaker says where a loudspeaker stands; the package's noise is not speech."""
    files = [path for path in find_audio_files(unpacked) if path.stem != "Noise"]
    audio = _joined(files, seconds, sample_rate)
    return [Clip(name="loudspeaker names, English", kind=SPEECH_KIND, audio=audio)]


def _words(unpacked: Path, seconds: float, sample_rate: int) -> list[Clip]:
    """Single words, read by another speaker in each language."""
    clips = []
    for language in LANGUAGES:
        files = find_audio_files(unpacked / "usr/share/ktuberling/sounds" / language)
        audio = _joined(files, seconds, sample_rate)
        clips.append(Clip(name=f"single words, {language}", kind=SPEECH_KIND, audio=audio))
    return clips


def _joined(files: list[Path], seconds: float, sample_rate: int) -> Audio:
    """Put recordings one after another until the clip is full; scale down what would clip.

    Raises:
        DataError: if they are too short together.
    """
    wanted = round(seconds * sample_rate)
    parts: list[np.ndarray] = []
    for path in files:
        parts.append(load_audio(path).mono().resampled(sample_rate).waveform[0])
        if sum(map(len, parts)) >= wanted:
            break
    else:
        raise DataError(f"got {len(files)} recordings; expected {seconds} s of sound in them")
    joined = np.concatenate(parts)[:wanted]
    return Audio((joined / max(1.0, float(np.abs(joined).max())))[None], sample_rate)


def _instruments(unpacked: Path, seconds: float, sample_rate: int) -> list[Clip]:
    fonts = sorted(unpacked.rglob("*.sf2"))
    if not fonts:
        raise DataError("the package holds no .sf2 file; expected a sound font")
    return [
        Clip(
            name=instrument.name,
            kind=INSTRUMENT_KIND,
            audio=_played(fonts[0], instrument, seconds, sample_rate),
        )
        for instrument in INSTRUMENTS
    ]


def _played(font: Path, instrument: Instrument, seconds: float, sample_rate: int) -> Audio:
    """Play the phrase in equal steps over the clip; drums play a beat instead."""
    synth = _synth(sample_rate)
    drums = instrument.bank == _DRUM_BANK
    loaded = synth.sfload(str(font))
    synth.program_select(_CHANNEL, loaded, instrument.bank, instrument.program, drums)
    steps = _BEAT * 2 if drums else tuple((step,) for step in _PHRASE)
    length = round(seconds * sample_rate)
    bounds = np.linspace(0, length, len(steps) + 1).astype(int)
    sounding = []
    for step, start, end in zip(steps, bounds[:-1], bounds[1:], strict=True):
        keys = [instrument.lowest_key + offset for offset in step]
        held = int((end - start) * _RELEASE_SHARE)
        for key in keys:
            synth.noteon(_CHANNEL, key, _VELOCITY)
        sounding.append(_generated(synth, held))
        for key in keys:
            synth.noteoff(_CHANNEL, key)
        sounding.append(_generated(synth, int(end - start) - held))
    signal = np.concatenate(sounding)
    peak = float(np.abs(signal).max())
    if peak == 0:
        raise AudioError(f"the sound font plays {instrument.name!r} as silence")
    return Audio((signal * (_PEAK / peak)).astype(np.float32)[None], sample_rate)


def _generated(synth, samples: int) -> np.ndarray:  # type: ignore[no-untyped-def]
    stereo = np.frombuffer(bytes(synth.generate_simple(samples)), np.float32)
    return stereo.reshape(samples, 2).mean(axis=1)


def _synth(sample_rate: int):  # type: ignore[no-untyped-def]
    try:
        module = importlib.import_module("tinysoundfont")
    except ImportError:
        raise MissingDependency(
            "playing a sound font needs tinysoundfont, which is not installed; "
            "run: pip install tinysoundfont"
        ) from None
    return module.Synth(samplerate=sample_rate)
