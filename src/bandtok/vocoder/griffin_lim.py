"""Ln-mel to waveform without a learned network: the baseline every vocoder has to beat.

    ln-mel [n_mels, mel_frames] -> waveform [mel_frames * hop_length]

Phases are found by iteration, with the framing of :class:`bandtok.signal.mel.LogMel` (frame i is
centered on sample i * hop_length + hop_length / 2). Knows nothing of tokens.
"""

from __future__ import annotations

import numpy as np

from bandtok.errors import ConfigError, GridError
from bandtok.signal.mel import LogMel, MelConfig, in_blocks

_INITIAL_FIT_STEPS = 30
_TINY = np.float32(1e-12)


def griffin_lim(
    mel: np.ndarray,
    config: MelConfig | None = None,
    *,
    num_iterations: int = 32,
    momentum: float = 0.99,
    seed: int = 0,
    initial: np.ndarray | None = None,
) -> np.ndarray:
    """Find a waveform whose ln-mel is close to `mel`.

    Args:
        mel: ln-mel, float [n_mels, mel_frames].
        config: settings the mel was made with; None means the package's default.
        num_iterations: rounds of phase refinement; 0 uses the first phases as they are.
        momentum: in [0, 1]; 0 is the plain algorithm, 0.99 the fast one.
        seed: of the random first phases; the same seed gives the same waveform.
        initial: waveform [mel_frames * hop_length] to take the first phases from, for example a
            vocoder's output that is to be pulled towards the mel.

    Returns:
        float32 waveform [mel_frames * hop_length]. It is not clipped to [-1, 1].

    Raises:
        GridError: if `mel` or `initial` has the wrong shape or is not finite.
        ConfigError: if `num_iterations` or `momentum` is out of range.

    Source: Griffin and Lim (1984) with the momentum of Perraudin et al. (2013). Differs in that the
    magnitude is not fixed from one inversion of the mel: each round rescales the magnitude that the
    signal really has by the ratio of the wanted to the present mel (one Richardson-Lucy step), so
    only the mel is held to, which is all that is known.
    """
    config = config or MelConfig()
    _check(mel, initial, config, num_iterations, momentum)
    length = mel.shape[1] * config.hop_length
    missing = config.padding // config.hop_length + 2 - mel.shape[1]
    if missing > 0:  # the analysis reflects `padding` samples, so a very short mel is lengthened
        mel = np.pad(mel, ((0, 0), (0, missing)), mode="edge")
        if initial is not None:
            initial = np.pad(initial, (0, missing * config.hop_length))
    framing = _Framing(config)
    target = np.where(mel > config.silence, np.exp(mel, dtype=np.float32), np.float32(0)).T
    if initial is None:
        angle = np.random.default_rng(seed).random((len(target), config.n_fft // 2 + 1), np.float32)
        phase = np.exp(2j * np.pi * angle).astype(np.complex64)
    else:
        phase = _phase(framing.analyze(initial.astype(np.float32)))
    spectrum = framing.fit_magnitude(target) * phase
    previous = np.zeros_like(spectrum)
    share = np.float32(momentum / (1 + momentum))
    for _ in range(num_iterations):
        consistent = framing.analyze(framing.synthesize(spectrum))
        magnitude = framing.step_towards(target, np.abs(consistent))
        spectrum = magnitude * _phase(consistent - share * previous)
        previous = consistent
    return framing.synthesize(spectrum)[:length]


class _Framing:
    """The short-time spectrum of LogMel, its inverse, and the mel's pseudo-inverse."""

    def __init__(self, config: MelConfig) -> None:
        self.config, self.log_mel = config, LogMel(config)
        self.filterbank = self.log_mel.filterbank
        self.bin_weight = np.maximum(self.filterbank.sum(axis=0), _TINY)

    def analyze(self, waveform: np.ndarray) -> np.ndarray:
        """[samples] -> complex64 [mel_frames, n_fft // 2 + 1]."""
        return self.log_mel.spectrum(np.pad(waveform, self.config.padding, mode="reflect"))

    def synthesize(self, spectrum: np.ndarray) -> np.ndarray:
        """complex64 [mel_frames, n_fft // 2 + 1] -> [mel_frames * hop_length]."""
        return self.log_mel.overlap_add(in_blocks(spectrum), len(spectrum))

    def fit_magnitude(self, target: np.ndarray) -> np.ndarray:
        """Non-negative magnitude whose mel is `target`, as smooth as the filters allow."""
        per_bin = target / np.maximum(self.filterbank.sum(axis=1), _TINY)
        magnitude = self.log_mel.filters.sum_filters(per_bin) / self.bin_weight
        for _ in range(_INITIAL_FIT_STEPS):
            magnitude = self.step_towards(target, magnitude)
        result: np.ndarray = magnitude
        return result

    def step_towards(self, target: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
        """Rescale `magnitude` so that its mel comes closer to `target`."""
        present = np.maximum(self.log_mel.filters.sum_bins(magnitude), np.float32(1e-9))
        result: np.ndarray = (
            magnitude * self.log_mel.filters.sum_filters(target / present) / self.bin_weight
        )
        return result


def _phase(spectrum: np.ndarray) -> np.ndarray:
    """Return a spectrum with magnitudes of 1; 0 stays 0."""
    result: np.ndarray = spectrum / np.maximum(np.abs(spectrum), np.float32(1e-30))
    return result


def _check(
    mel: np.ndarray,
    initial: np.ndarray | None,
    config: MelConfig,
    num_iterations: int,
    momentum: float,
) -> None:
    if mel.ndim != 2 or mel.shape[0] != config.n_mels or mel.shape[1] < 1:
        raise GridError(
            f"got a mel of shape {mel.shape}; "
            f"expected [{config.n_mels}, mel_frames] with at least one frame"
        )
    if not np.isfinite(mel).all():
        raise GridError("the mel holds NaN or infinity; expected finite natural logarithms")
    wanted = (mel.shape[1] * config.hop_length,)
    if initial is not None and initial.shape != wanted:
        raise GridError(f"got an initial waveform of shape {initial.shape}; expected {wanted}")
    if num_iterations < 0 or not 0 <= momentum <= 1:
        raise ConfigError(
            f"got {num_iterations} iterations and momentum {momentum}; "
            "expected num_iterations >= 0 and momentum from 0 to 1"
        )
