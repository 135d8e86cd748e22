"""Distances between a recording and its reconstruction: ln-mel, STFT, ViSQOL, SI-SDR.

    reference Audio, estimate Audio -> numbers; 0 is best for distances, most for ViSQOL and SI-SDR

Both signals are taken as mono at one rate. Knows nothing of tokens or of who made the estimate.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from bandtok.errors import AudioError, ConfigError, GridError
from bandtok.extras import require
from bandtok.signal.audio import Audio
from bandtok.signal.mel import LogMel, MelConfig, mel_bin_centers_hz

VISQOL_SAMPLE_RATE = 48_000
_BELOW_HZ = 15_000.0
_VISQOL_MIN_SECONDS = 1.0
_VISQOL_LOCK = threading.Lock()  # its compiled loops may not be entered by two threads


@dataclass(frozen=True, kw_only=True)
class MelDistance:
    """Mean absolute difference of two ln-mel images, in natural-log units.

    Attributes:
        all_bins: over every mel bin.
        below: over the bins whose center lies below `below_hz`.
        below_hz: that limit in Hz. Many recordings hold nothing above about 15 kHz, so the bins
            there say more about the lossy format they came in than about the reconstruction.
    """

    all_bins: float
    below: float
    below_hz: float


@dataclass(frozen=True, kw_only=True)
class StftDistance:
    """Multi-resolution STFT distance.

    Attributes:
        total: spectral_convergence + log_magnitude.
        spectral_convergence: norm of the magnitude difference over that of the reference; very
            large for a silent reference.
        log_magnitude: mean absolute difference of natural-log magnitudes.
    """

    total: float
    spectral_convergence: float
    log_magnitude: float


def mel_distance(
    reference: Audio,
    estimate: Audio,
    *,
    below_hz: float = _BELOW_HZ,
    config: MelConfig | None = None,
) -> MelDistance:
    """Compare two recordings by their ln-mel.

    Args:
        reference: the original.
        estimate: its reconstruction, of the same duration.
        below_hz: upper limit of the second figure.
        config: mel settings; None means the package's.

    Raises:
        AudioError: if the durations differ or the recordings are shorter than one mel frame.
        ConfigError: if no mel bin lies below `below_hz`.
    """
    config = config or MelConfig()
    first, second = matched_waveforms(reference, estimate, config.sample_rate)
    return compare_mels(log_mel(config)(first), log_mel(config)(second), config, below_hz)


class MelDistanceMeter:
    """The mel distance of two streams of any length, in bounded memory.

    The streams are compared in stretches of a minute, each with its own mirrored ends, so that for
    anything up to a minute the figure is that of `mel_distance`.

    Args:
        sample_rate: Hz of both streams.
        config: mel settings; None means the package's.
    """

    def __init__(self, sample_rate: int, config: MelConfig | None = None) -> None:
        self._config = config or MelConfig()
        if sample_rate != self._config.sample_rate:
            raise AudioError(f"got {sample_rate} Hz; expected {self._config.sample_rate} Hz")
        self._stretch = 60 * sample_rate // self._config.hop_length * self._config.hop_length
        self._pending: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        self._held = 0
        self._sums = np.zeros(2)
        self._mel_frames = 0

    def add(self, reference: np.ndarray, estimate: np.ndarray) -> None:
        """Take the next samples of both, float32 [n] of the same n."""
        for start in range(0, len(reference), self._stretch):
            for pending, block in zip(self._pending, (reference, estimate), strict=True):
                pending.append(block[start : start + self._stretch])
            self._held += len(self._pending[0][-1])
            if self._held >= self._stretch:
                self._compare(self._stretch)

    def result(self) -> MelDistance | None:
        """Return the mean over all that was added; None if that is shorter than one mel frame."""
        if self._held > self._config.padding:
            self._compare(self._held)
        if not self._mel_frames:
            return None
        means = self._sums / self._mel_frames
        return MelDistance(all_bins=float(means[0]), below=float(means[1]), below_hz=_BELOW_HZ)

    def _compare(self, length: int) -> None:
        first, second = (np.concatenate(pending) for pending in self._pending)
        mels = [log_mel(self._config)(w[:length]) for w in (first, second)]
        distance = compare_mels(mels[0], mels[1], self._config)
        self._sums += np.array([distance.all_bins, distance.below]) * mels[0].shape[1]
        self._mel_frames += mels[0].shape[1]
        self._pending = ([first[length:]], [second[length:]])
        self._held = len(first) - length


def compare_mels(
    reference: np.ndarray, estimate: np.ndarray, config: MelConfig, below_hz: float = _BELOW_HZ
) -> MelDistance:
    """Compare two ln-mels [..., n_mels, mel_frames] of the same shape.

    Raises:
        GridError: if the shapes differ, are empty, or values are not finite.
        ConfigError: if no mel bin lies below `below_hz`.
    """
    if reference.shape != estimate.shape or not reference.size:
        raise GridError(
            f"got mels of shape {reference.shape} and {estimate.shape}; "
            "expected two of the same shape with at least one frame"
        )
    difference = np.abs(reference - estimate, dtype=np.float64)
    if not np.isfinite(difference).all():
        raise GridError("a mel holds NaN or infinity; expected finite natural logarithms")
    kept = mel_bin_centers_hz(config) < below_hz
    if not kept.any():
        raise ConfigError(f"got below_hz {below_hz}; expected at least one mel bin below it")
    return MelDistance(
        all_bins=float(difference.mean()),
        below=float(difference[..., kept, :].mean()),
        below_hz=below_hz,
    )


@functools.lru_cache(maxsize=4)
def log_mel(config: MelConfig) -> LogMel:
    """Return the mel transform of a config."""
    return LogMel(config)


def stft_distance(reference: Audio, estimate: Audio) -> StftDistance:
    """Compare two recordings by the multi-resolution STFT distance, at the reference's rate.

    FFT sizes 1024, 2048 and 512 with auraloss's default hops and windows, so that the figure is
    comparable with published ones.

    Raises:
        AudioError: if the durations differ or the recordings are too short.
        MissingDependency: if auraloss is not installed.
    """
    distance = _stft_module()
    import torch  # noqa: PLC0415  # only this distance needs it

    first, second = matched_waveforms(reference, estimate, reference.sample_rate)
    if len(first) < 2048:
        raise AudioError(f"got {len(first)} samples; expected at least 2048 for the STFT distance")
    with torch.no_grad():
        estimated, original = (torch.from_numpy(w)[None, None] for w in (second, first))
        parts = distance(estimated, original)
    convergence, log_magnitude = (float(torch.stack(part).mean()) for part in parts[1:3])
    return StftDistance(
        total=convergence + log_magnitude,
        spectral_convergence=convergence,
        log_magnitude=log_magnitude,
    )


def si_sdr_db(reference: Audio, estimate: Audio) -> float | None:
    """Return the scale-invariant signal-to-distortion ratio in dB; None where either is silent.

    It compares waveforms sample by sample, so it is meaningful for codecs that keep the phase and
    not for those that resynthesize it from a mel: these are far below 0 dB whatever their quality.

    Source: Le Roux et al. (1811.02508), means taken off.

    Raises:
        AudioError: if the durations differ.
    """
    pair = matched_waveforms(reference, estimate, reference.sample_rate)
    first, second = (waveform - waveform.mean(dtype=np.float64) for waveform in pair)
    power = float(first @ first)
    if not power or not second.any():
        return None
    target = first * (float(second @ first) / power)
    wanted, rest = float(target @ target), float(np.sum((second - target) ** 2))
    wanted, rest = (np.log10(max(energy, 1e-30 * power)) for energy in (wanted, rest))
    return float(10 * (wanted - rest))


def visqol_score(reference: Audio, estimate: Audio) -> float:
    """Rate a reconstruction by ViSQOL in audio mode: about 1 (bad) to 4.73 (the same).

    Raises:
        AudioError: if the durations differ, are under one second, or either signal is silent.
        MissingDependency: if visqol-python is not installed.
    """
    meter = _visqol_meter()
    first, second = matched_waveforms(reference, estimate, VISQOL_SAMPLE_RATE)
    if len(first) < _VISQOL_MIN_SECONDS * VISQOL_SAMPLE_RATE:
        raise AudioError(
            f"got {len(first) / VISQOL_SAMPLE_RATE:.2f} s; ViSQOL needs at least "
            f"{_VISQOL_MIN_SECONDS:.0f} s"
        )
    if not first.any() or not second.any():
        raise AudioError("got digital silence; ViSQOL needs sound in reference and estimate")
    with _VISQOL_LOCK:
        result = meter.measure_from_arrays(
            first.astype(np.float64), second.astype(np.float64), VISQOL_SAMPLE_RATE
        )
    return float(result.moslqo)


def matched_waveforms(
    reference: Audio, estimate: Audio, sample_rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return both as mono float32 [samples] at `sample_rate`.

    A difference of one sample, as resampling leaves it, is cut off.

    Raises:
        AudioError: if one is longer than the other.
    """
    first, second = (_mono_at(audio, sample_rate) for audio in (reference, estimate))
    if abs(len(first) - len(second)) > (reference.sample_rate != estimate.sample_rate):
        raise AudioError(
            f"got a reference of {len(first)} and an estimate of {len(second)} samples at "
            f"{sample_rate} Hz; expected the same length, cut both to the part they share"
        )
    shared = min(len(first), len(second))
    return first[:shared], second[:shared]


def _mono_at(audio: Audio, sample_rate: int) -> np.ndarray:
    waveform: np.ndarray = audio.mono().resampled(sample_rate).waveform[0]
    return waveform


@functools.cache
def _stft_module() -> Any:
    return require("auraloss.freq", "evaluate").MultiResolutionSTFTLoss(output="full")


@functools.cache
def _visqol_meter() -> Any:
    meter = require("visqol", "evaluate").VisqolApi()
    meter.create(mode="audio")
    return meter
