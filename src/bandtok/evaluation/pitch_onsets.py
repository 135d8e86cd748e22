"""Pitch and onset measures of a reconstruction: constant-Q spectrum and onset strength.

    waveform [samples] -> PitchOnsetFeatures;  features of original and estimate -> correlations

Needs librosa (extra `evaluate`), imported at the first call. Knows nothing of codecs.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from bandtok.errors import AudioError
from bandtok.extras import require

_HOP_LENGTH = 512
_LOWEST_HZ = 55.0
_BINS_PER_OCTAVE = 36
_NUM_BINS = 6 * _BINS_PER_OCTAVE  # 55 Hz to 3.5 kHz
_FLOOR_DB = -80.0  # relative to the original's largest CQT magnitude
_ONSET_FFT = 2048  # librosa's default; shorter signals have no onset envelope


@dataclass(frozen=True, kw_only=True)
class PitchOnsetFeatures:
    """Time-frequency features of one waveform; None where it is too short for them.

    Attributes:
        cqt: constant-Q magnitudes, float32 [216, frames]: 36 bins per octave from 55 Hz to 3.5 kHz.
        onset_strength: librosa's onset-strength envelope, float32 [frames].
        onsets_per_second: detected onsets over the duration; 0 for silence.
    """

    cqt: np.ndarray | None
    onset_strength: np.ndarray | None
    onsets_per_second: float | None


def pitch_onset_features(waveform: np.ndarray, sample_rate: int) -> PitchOnsetFeatures:
    """Compute the features with librosa's default settings; hops are 512 samples.

    Args:
        waveform: mono samples [samples], finite.
        sample_rate: Hz, at least 8,000.

    Raises:
        AudioError: if the waveform is not mono or the rate is too low for 3.5 kHz.
        MissingDependency: if librosa is not installed.
    """
    if waveform.ndim != 1 or sample_rate < 8_000:
        raise AudioError(
            f"got a waveform of shape {waveform.shape} at {sample_rate} Hz; expected mono samples "
            "[samples] at 8,000 Hz or more"
        )
    librosa = require("librosa", "evaluate")
    strength = rate = None
    if len(waveform) >= _ONSET_FFT:
        strength = librosa.onset.onset_strength(
            y=waveform, sr=sample_rate, hop_length=_HOP_LENGTH, n_fft=_ONSET_FFT
        )
        onsets = librosa.onset.onset_detect(
            onset_envelope=strength, sr=sample_rate, hop_length=_HOP_LENGTH
        )
        rate = len(onsets) * sample_rate / len(waveform)
    return PitchOnsetFeatures(
        cqt=_constant_q(librosa, waveform, sample_rate),
        onset_strength=strength,
        onsets_per_second=rate,
    )


def pitch_correlation(reference: PitchOnsetFeatures, estimate: PitchOnsetFeatures) -> float | None:
    """Return the correlation of log CQT magnitudes, -1 to 1; 1 is right.

    The mean over the bins of each frame is removed first, so that the level does not count.
    Magnitudes are limited from below at 80 dB under the original's largest. None if either signal
    is silent or shorter than the longest filter (0.93 s).

    Raises:
        AudioError: if the numbers of frames differ.
    """
    original, other = reference.cqt, estimate.cqt
    if original is None or other is None or not (original.any() and other.any()):
        return None
    floor = float(original.max()) * 10 ** (_FLOOR_DB / 20)
    first, second = (np.log(np.maximum(cqt, floor), dtype=np.float64) for cqt in (original, other))
    return _correlation(first - first.mean(axis=0), second - second.mean(axis=0))


def onset_correlation(reference: PitchOnsetFeatures, estimate: PitchOnsetFeatures) -> float | None:
    """Return the correlation of onset-strength envelopes, -1 to 1; 1 is right.

    None if either signal has a constant envelope, such as silence, or is under 2,048 samples.

    Raises:
        AudioError: if the numbers of frames differ.
    """
    first, second = reference.onset_strength, estimate.onset_strength
    if first is None or second is None:
        return None
    return _correlation(
        first - first.mean(dtype=np.float64), second - second.mean(dtype=np.float64)
    )


def _constant_q(librosa: ModuleType, waveform: np.ndarray, sample_rate: int) -> np.ndarray | None:
    ratio = 2 ** (2 / _BINS_PER_OCTAVE)
    longest = sample_rate / _LOWEST_HZ * (ratio + 1) / (ratio - 1)  # samples of librosa's filter
    if len(waveform) < longest:
        return None
    # librosa warns where its FFT, the next power of two, is longer than the signal.
    padded = max(len(waveform), 2 ** int(np.ceil(np.log2(longest)) + 1))
    transform = librosa.cqt(
        np.pad(waveform, (0, padded - len(waveform))),
        sr=sample_rate,
        hop_length=_HOP_LENGTH,
        fmin=_LOWEST_HZ,
        n_bins=_NUM_BINS,
        bins_per_octave=_BINS_PER_OCTAVE,
    )
    magnitudes: np.ndarray = np.abs(transform)[:, : 1 + len(waveform) // _HOP_LENGTH]
    return magnitudes


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the correlation of two arrays whose means are removed."""
    if first.shape != second.shape:
        raise AudioError(
            f"got features of shapes {first.shape} and {second.shape}; expected waveforms of the "
            "same length and rate"
        )
    size = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float((first * second).sum() / size) if size > 1e-12 else None
