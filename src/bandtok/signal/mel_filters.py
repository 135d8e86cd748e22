"""Mel filterbanks in numpy: the Slaney and the HTK mel scale, triangular filters, their centers.

    sample rate, FFT size, number of bands -> float32 [n_mels, n_fft // 2 + 1]

Source: Slaney, "Auditory Toolbox" (1998), and Young et al., "The HTK Book". Every operation is done
in the order of librosa 0.11, so that the float32 filters are equal to librosa's bit by bit.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

_HZ_PER_MEL = 200.0 / 3  # of Slaney's scale, below the break
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(hz: ArrayLike, *, htk: bool = False) -> np.ndarray:
    """Convert Hz to mel: Slaney's scale (linear below 1 kHz, logarithmic above) or HTK's."""
    hz = np.asarray(hz, np.float64)
    if htk:
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    # The smaller of the two keeps the logarithm finite where it is not used.
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz >= _BREAK_HZ, above, hz / _HZ_PER_MEL)


def mel_to_hz(mel: ArrayLike, *, htk: bool = False) -> np.ndarray:
    """Convert mel to Hz, the inverse of :func:`hz_to_mel`."""
    mel = np.asarray(mel, np.float64)
    if htk:
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel >= _BREAK_MEL, above, _HZ_PER_MEL * mel)


def mel_frequencies(n_mels: int, f_min: float, f_max: float, *, htk: bool = False) -> np.ndarray:
    """Return `n_mels` frequencies in Hz, evenly spaced in mel from `f_min` to `f_max`."""
    low, high = hz_to_mel(f_min, htk=htk), hz_to_mel(f_max, htk=htk)
    return mel_to_hz(np.linspace(low, high, n_mels), htk=htk)


def triangular_mel_filters(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    *,
    f_min: float = 0.0,
    f_max: float | None = None,
    htk: bool = False,
    norm: Literal["area", "sum"] = "area",
) -> np.ndarray:
    """Return triangular mel filters, float32 [n_mels, n_fft // 2 + 1].

    Args:
        sample_rate: Hz.
        n_fft: samples per analysis window.
        n_mels: number of filters.
        f_min: lower edge of the lowest filter in Hz.
        f_max: upper edge of the highest filter in Hz; half the sample rate if None.
        htk: the HTK mel scale instead of Slaney's.
        norm: "area" gives every triangle the same area (Slaney), "sum" makes the weights of a
            filter sum to 1.
    """
    edges = mel_frequencies(n_mels + 2, f_min, sample_rate / 2 if f_max is None else f_max, htk=htk)
    widths = np.diff(edges)
    ramps = np.subtract.outer(edges, np.fft.rfftfreq(n=n_fft, d=1.0 / sample_rate))
    filters = np.zeros((n_mels, n_fft // 2 + 1), np.float32)
    for index in range(n_mels):
        rising = -ramps[index] / widths[index]
        falling = ramps[index + 2] / widths[index + 1]
        filters[index] = np.maximum(0, np.minimum(rising, falling))
    if norm == "area":
        filters *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
        return filters
    total = filters.astype(np.float64).sum(axis=1, keepdims=True)
    return (filters / np.where(total > 0, total, 1.0)).astype(np.float32)
