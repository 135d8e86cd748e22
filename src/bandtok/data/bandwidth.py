"""An audio file to the highest frequency its music reaches, in Hz.

Lossy coders and old equipment cut music at 10 to 20 kHz whatever the file's sample rate; a model
must know that, or it is trained and measured on silence. Looks at short excerpts, not the whole
file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from bandtok.signal.audio import AudioReader, open_audio

_EXCERPTS = 8
_EXCERPT_SECONDS = 3.0
_N_FFT = 2048
_SMOOTH_HZ = 200.0
_BELOW_PEAK_DB = 100.0
_ABOVE_FLOOR_DB = 8.0
_CLIFF_DB, _CLIFF_HZ, _BELOW_CLIFF_DB = 18.0, 700.0, -50.0


def measure_bandwidth(path: str | os.PathLike[str]) -> float:
    """Return the highest frequency in Hz that lies clearly above the file's noise floor.

    Reads eight spread excerpts of three seconds and averages their power spectra.

    Raises:
        AudioError: if the file cannot be read or is damaged.
    """
    with open_audio(path) as reader:
        power = np.zeros(_N_FFT // 2 + 1)
        for excerpt in _excerpts(reader):
            for channel in excerpt:
                power += _power_spectrum(channel)
        return round(bandwidth_of_spectrum(power, reader.info.sample_rate), 1)


def bandwidth_of_spectrum(power: np.ndarray, sample_rate: int) -> float:
    """Return the upper edge in Hz of a long-term power spectrum [n_fft // 2 + 1].

    A coder's low-pass shows as a cliff; without one the edge is where the level sinks below
    100 dB under the peak or meets the floor.
    """
    hertz_per_bin = sample_rate / 2 / (len(power) - 1)
    if not power.max() > 0:
        return 0.0
    width = max(1, round(_SMOOTH_HZ / hertz_per_bin))
    smooth = np.convolve(power, np.ones(width) / width, mode="same")[width // 2 : -width // 2]
    level = 10 * np.log10(smooth / smooth.max() + 1e-14)
    edge = min(_threshold_bin(level), _cliff_bin(level, round(_CLIFF_HZ / hertz_per_bin)))
    nyquist = sample_rate / 2
    return nyquist if edge >= len(level) - 1 else min(nyquist, (edge + width // 2) * hertz_per_bin)


def _threshold_bin(level: np.ndarray) -> int:
    floor = level.min()
    threshold = max(-_BELOW_PEAK_DB, floor + _ABOVE_FLOOR_DB if floor < -_BELOW_PEAK_DB else floor)
    return int(np.flatnonzero(level >= threshold)[-1])


def _cliff_bin(level: np.ndarray, span: int) -> int:
    """Return the last bin before the level falls steeply and never comes back."""
    peak_after = np.maximum.accumulate(level[::-1])[::-1]
    drop = level[:-span] - peak_after[span:]
    steep = np.flatnonzero((drop > _CLIFF_DB) & (peak_after[span:] < _BELOW_CLIFF_DB))
    if not len(steep):
        return len(level) - 1
    # The foot of a cliff is a slope of leakage, so its height is measured from the top.
    top = steep[steep >= steep[-1] - 2 * span][0]
    return int(np.flatnonzero(level >= level[top] - _CLIFF_DB)[-1])


def _excerpts(reader: AudioReader) -> Iterator[np.ndarray]:
    """Yield [channels, samples] from places spread over the file."""
    samples = reader.info.samples
    length = min(samples, round(_EXCERPT_SECONDS * reader.info.sample_rate))
    last = samples - length
    for start in sorted({last * (2 * k + 1) // (2 * _EXCERPTS) for k in range(_EXCERPTS)}):
        yield reader.excerpt(start, length)


def _power_spectrum(samples: np.ndarray) -> np.ndarray:
    if len(samples) < _N_FFT:
        samples = np.pad(samples, (0, _N_FFT - len(samples)))
    count = len(samples) // _N_FFT
    blocks = samples[: count * _N_FFT].reshape(count, _N_FFT) * np.hanning(_N_FFT)
    return np.asarray((np.abs(np.fft.rfft(blocks)) ** 2).sum(axis=0))
