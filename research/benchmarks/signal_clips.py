"""The signals that benchmarks/signals.py makes up: noise, tones, pulses, music changed.

    seconds, sample rate, a piece of music -> named clips, the same on every run

Knows nothing of tokens. Real recordings and instruments come from signal_sources.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandtok import Audio

NOISE_LEVEL = 0.1
TONE_LEVEL = 0.5
TONES_HZ = (110, 440, 1_760, 7_040)
SQUARES_HZ = (100, 1_000)
SWEEP_HZ = (20.0, 20_000.0)
MINOR_SECOND_HZ = (82.41, 87.31)
CLICKS_A_SECOND = 4
CLICK_LEVEL = 0.9
BURST_EVERY_SECONDS = 2.5
BURST_DECAY_SECONDS = 1.0
QUIET_PEAK_DB = -60.0
OVERDRIVE_DB = 18.0
_SEED = 20


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A mono signal to measure.

    Attributes:
        name: what it is, in words.
        kind: the row of the table it is counted in.
        audio: mono, at the tokenizer's rate.
    """

    name: str
    kind: str
    audio: Audio


def synthetic_clips(seconds: float, sample_rate: int, music: Audio) -> list[Clip]:
    """Return every made-up signal, and the music as it is, quiet and clipped.

    Args:
        seconds: length of each clip.
        sample_rate: Hz.
        music: at least `seconds` long; its beginning is used.
    """
    samples = round(seconds * sample_rate)
    time = np.arange(samples) / sample_rate
    made = [
        *_noises(samples),
        *_tones(time),
        *_pulses(time, sample_rate),
        *_changed_music(music.mono().resampled(sample_rate).waveform[0, :samples]),
    ]
    return [
        Clip(name=name, kind=kind, audio=Audio(signal.astype(np.float32)[None], sample_rate))
        for name, kind, signal in made
    ]


def _noises(samples: int) -> list[tuple[str, str, np.ndarray]]:
    generator = np.random.default_rng(_SEED)
    white = generator.standard_normal(samples) * NOISE_LEVEL
    spectrum = np.fft.rfft(generator.standard_normal(samples))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    pink = np.fft.irfft(spectrum, samples)
    return [
        ("silence", "silence", np.zeros(samples)),
        ("white noise", "noise", white),
        ("pink noise", "noise", pink * NOISE_LEVEL / pink.std()),
    ]


def _tones(time: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    low, high = SWEEP_HZ
    stretch = (len(time) * time[1]) / np.log(high / low)
    sweep = TONE_LEVEL * np.sin(2 * np.pi * low * stretch * np.expm1(time / stretch))
    second = sum(TONE_LEVEL / 2 * np.sin(2 * np.pi * hertz * time) for hertz in MINOR_SECOND_HZ)
    return [
        ("sine sweep, 20 Hz to 20 kHz", "sine sweep", sweep),
        *(
            (f"tone of {hertz} Hz", "steady tones", TONE_LEVEL * np.sin(2 * np.pi * hertz * time))
            for hertz in TONES_HZ
        ),
        ("minor second, 82 and 87 Hz", "steady tones", np.asarray(second)),
    ]


def _pulses(time: np.ndarray, sample_rate: int) -> list[tuple[str, str, np.ndarray]]:
    squares = [
        (
            f"square wave of {hertz} Hz, full scale",
            "full-scale square waves",
            np.where((time * hertz) % 1 < 0.5, 1.0, -1.0),
        )
        for hertz in SQUARES_HZ
    ]
    clicks = np.zeros(len(time))
    clicks[sample_rate // 8 :: sample_rate // CLICKS_A_SECOND] = CLICK_LEVEL
    noise = np.random.default_rng(_SEED + 1).uniform(-1, 1, len(time))
    decay = 10 ** (-3 * (time % BURST_EVERY_SECONDS) / BURST_DECAY_SECONDS)
    return [
        *squares,
        (f"click train, {CLICKS_A_SECOND} a second", "clicks and bursts", clicks),
        ("decaying impulse, -60 dB in 1 s", "clicks and bursts", noise * decay),
    ]


def _changed_music(music: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    peak = float(np.abs(music).max(initial=1e-9))
    quiet = music * (10 ** (QUIET_PEAK_DB / 20) / peak)
    clipped = np.clip(music * (10 ** (OVERDRIVE_DB / 20) / peak), -1, 1)
    return [
        ("music as it is", "music, as it is", music),
        (f"music, peak at {QUIET_PEAK_DB:.0f} dBFS", "music, very quiet", quiet),
        (f"music, {OVERDRIVE_DB:.0f} dB too loud, clipped", "music, clipped", clipped),
    ]
