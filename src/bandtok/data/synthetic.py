"""Sounds that hardly occur in finished music: bare tones, sweeps, clicks, bursts of noise.

A codec reproduces poorly what its training lacks: a lone tone is a few cells of a mel image, and
a network that has only seen mixes would rather blur it away. Depends on a random generator alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_LOWEST_HZ, _HIGHEST_HZ = 40.0, 16_000.0
_LEVEL_DBFS = (-40.0, 0.0)


def synthetic_crop(rng: np.random.Generator, num_samples: int, sample_rate: int) -> np.ndarray:
    """Return float32 [num_samples, at least two] of one kind of sound, within [-1, 1].

    Steady or fading tones with few or many partials, sweeps, clipped waves, clicks and noise
    bursts, at -40 to 0 dB of full scale, some of them begun or ended within the crop.
    """
    time = np.arange(num_samples) / sample_rate
    kinds: tuple[Callable[[np.random.Generator, np.ndarray], np.ndarray], ...] = (
        _tones,
        _tones,
        _sweep,
        _clicks,
        _bursts,
    )
    sound = kinds[rng.integers(len(kinds))](rng, time)
    begin = int(rng.integers(num_samples)) if rng.random() < 0.3 else 0
    if sound[begin:].any():
        sound[:begin] = 0.0
    peak = float(np.abs(sound).max())
    level = 10 ** (rng.uniform(*_LEVEL_DBFS) / 20)
    return (sound / peak * level).astype(np.float32)


def _pitch_hz(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(_LOWEST_HZ), np.log(_HIGHEST_HZ))))


def _tones(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """One to four notes, each bare or with partials, some fading, some clipped to squares."""
    total = np.zeros_like(time)
    nyquist = 0.5 / time[1]
    for _ in range(rng.integers(1, 5)):
        pitch, partials = _pitch_hz(rng), int(rng.choice((1, 1, 4, 16)))
        fall = rng.uniform(0.5, 2.0)
        note = np.zeros_like(time)
        for number in range(1, partials + 1):
            if number * pitch >= nyquist:
                break
            phase = rng.uniform(0, 2 * np.pi)
            note += number**-fall * np.sin(2 * np.pi * number * pitch * time + phase)
        if rng.random() < 0.5:
            note *= np.exp(-time * rng.uniform(0.5, 8.0))
        total += note * 10 ** (rng.uniform(-20, 0) / 20)
    return np.sign(total) * np.abs(total) ** 0.1 if rng.random() < 0.15 else total


def _sweep(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    first, last = _pitch_hz(rng), _pitch_hz(rng)
    pitch = first * (last / first) ** (time / time[-1])
    turns = np.cumsum(pitch) * time[1]
    sound: np.ndarray = np.sin(2 * np.pi * turns)
    return sound


def _clicks(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    total = np.zeros_like(time)
    total[rng.integers(len(time), size=rng.integers(1, 12))] = rng.choice((-1.0, 1.0))
    return total


def _bursts(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """White to brownish noise that sets in sharply and fades, several times."""
    noise = rng.standard_normal(len(time))
    if rng.random() < 0.5:
        noise = np.cumsum(noise) - np.cumsum(noise).mean()
    envelope = np.zeros_like(time)
    for _ in range(rng.integers(1, 8)):
        onset = rng.uniform(0, time[-1])
        since = np.maximum(time - onset, 0.0)
        envelope += (time >= onset) * np.exp(-since * rng.uniform(1.0, 40.0))
    total: np.ndarray = noise * envelope
    return total
