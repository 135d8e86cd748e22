"""Signal-level measures of a reconstruction: blur or roughness of the ln-mel, level, DC, peak.

    two ln-mels -> flicker, grain (1 is right);  waveforms [samples] -> dB

Needs numpy only. None means undefined: silence, or too short a signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandtok.signal.mel import MelConfig, mel_bin_centers_hz

_BELOW_HZ = 15_000.0


@dataclass(frozen=True, kw_only=True)
class TotalVariationRatio:
    """Total variation of a reconstructed ln-mel over that of the original's, along each axis.

    1 is right, below 1 is blurred, above 1 is rough. None if the original does not vary.

    Attributes:
        flicker: mean |difference| between neighboring mel frames, over the original's.
        grain: mean |difference| between neighboring mel bins, over the original's.
    """

    flicker: float | None
    grain: float | None


def total_variation_ratio(
    reference: np.ndarray, estimate: np.ndarray, config: MelConfig, below_hz: float = _BELOW_HZ
) -> TotalVariationRatio:
    """Compare the total variation of two ln-mels of the same shape.

    A distance such as L1 is lowest for the average of all plausible reconstructions, which is
    blurred; this ratio shows the blur.

    Args:
        reference: original, [..., n_mels, mel_frames].
        estimate: reconstruction, same shape.
        config: mel settings of both.
        below_hz: only bins whose center is below this frequency are compared.
    """
    kept = mel_bin_centers_hz(config) < below_hz
    pair = (reference[..., kept, :].astype(float), estimate[..., kept, :].astype(float))
    return TotalVariationRatio(flicker=_variation_ratio(pair, -1), grain=_variation_ratio(pair, -2))


def level_difference_db(reference: np.ndarray, estimate: np.ndarray) -> float | None:
    """Return the RMS level of `estimate` minus that of `reference` in dB; None if one is silent.

    Args:
        reference, estimate: samples of any shape.
    """
    first, second = _power(reference), _power(estimate)
    if not first or not second:
        return None
    return float(10 * np.log10(second / first))


def dc_offset_dbfs(waveform: np.ndarray) -> float | None:
    """Return the magnitude of the mean of the samples in dB of full scale; None if it is zero."""
    return _decibels(abs(float(waveform.mean(dtype=np.float64)))) if waveform.size else None


def peak_dbfs(waveform: np.ndarray) -> float | None:
    """Return the largest sample magnitude in dB of full scale; None for silence.

    Above 0 the samples clip in a file of integer samples. This is the sample peak, not the true
    peak between samples.
    """
    return _decibels(float(np.abs(waveform).max())) if waveform.size else None


def _variation_ratio(pair: tuple[np.ndarray, np.ndarray], axis: int) -> float | None:
    original, estimate = (np.abs(np.diff(mel, axis=axis)).sum() for mel in pair)
    return float(estimate / original) if original > 0 else None


def _power(waveform: np.ndarray) -> float:
    return float(np.mean(np.square(waveform, dtype=np.float64))) if waveform.size else 0.0


def _decibels(amplitude: float) -> float | None:
    return float(20 * np.log10(amplitude)) if amplitude > 0 else None
