"""Ends of clips: faded out, or joined to their own beginnings."""

from __future__ import annotations

import numpy as np

from bandtok.signal.audio import Audio

_JOIN_SECONDS = 0.005


def fade_out(audio: Audio, seconds: float) -> Audio:
    """Return audio whose last seconds fall to silence along half a cosine; 0 changes nothing."""
    count = min(round(seconds * audio.sample_rate), audio.waveform.shape[1])
    if not count:
        return audio
    waveform = audio.waveform.copy()
    slope = 0.5 + 0.5 * np.cos(np.pi * (np.arange(count) + 1) / count)
    waveform[:, -count:] *= slope.astype(np.float32)
    return Audio(waveform, audio.sample_rate, audio.provenance)


def cut_loop(waveform: np.ndarray, first: int, count: int, sample_rate: int) -> np.ndarray:
    """Cut one pass out of a loop that was decoded with what comes before and after.

    Args:
        waveform: float32 [samples].
        first: where the pass begins; at least 5 ms come before it.
        count: samples of the pass.
        sample_rate: Hz.

    Returns:
        float32 [count], whose last 5 ms become those before `first`, so that the end leads into
        the beginning sample by sample.
    """
    result = waveform[first : first + count].copy()
    joined = min(round(_JOIN_SECONDS * sample_rate), first, count)
    share = np.linspace(0, 1, joined + 1, dtype=np.float32)[1:]
    result[count - joined :] *= 1 - share
    result[count - joined :] += share * waveform[first - joined : first]
    return result


def resample_loop(waveform: np.ndarray, count: int) -> np.ndarray:
    """Return a loop, float [samples], in another number of samples, band-limited and periodic."""
    if len(waveform) == count:
        return waveform
    spectrum = np.fft.rfft(waveform.astype(np.float64))
    result = np.fft.irfft(spectrum[: count // 2 + 1], count) * (count / len(waveform))
    return result.astype(np.float32)
