"""From the vocoder network's spectrum to the waveform, on arrays.

The same as the end of :class:`bandtok.vocoder.model.Vocoder`, which is trained through it.
"""

from __future__ import annotations

import numpy as np

from bandtok.signal.mel import LogMel
from bandtok.vocoder.config import MAX_CORRECTION, MAX_LOG_MAGNITUDE, VocoderConfig


class Synthesis:
    """Magnitudes and phases to a waveform whose mel is drawn to a target a few times."""

    def __init__(self, config: VocoderConfig) -> None:
        self._log_mel, self._num_corrections = LogMel(config.mel), config.num_corrections
        filterbank = self._log_mel.filterbank
        self._spread = filterbank / np.maximum(filterbank.sum(axis=0), 1e-8)

    def __call__(self, spectrum: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the waveform, float32 [mel_frames * hop_length].

        Args:
            spectrum: log magnitudes and phases, float32 [mel_frames, n_fft + 2].
            target: ln-mel, float32 [mel_frames, n_mels].
        """
        log_magnitude, phase = np.split(spectrum, 2, axis=1)
        magnitude = np.exp(np.minimum(log_magnitude, MAX_LOG_MAGNITUDE))
        complex_spectrum = np.empty(phase.shape, np.complex64)
        np.multiply(magnitude, np.cos(phase), out=complex_spectrum.real)
        np.multiply(magnitude, np.sin(phase), out=complex_spectrum.imag)
        waveform = self._log_mel.overlap_add(complex_spectrum)
        for _ in range(self._num_corrections):
            waveform = self._log_mel.overlap_add(self._corrected(waveform, target))
        return waveform

    def _corrected(self, waveform: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the waveform's spectrum with its magnitudes drawn to the target."""
        spectrum = self._log_mel.spectrum(np.pad(waveform, self._log_mel.config.padding))
        excess = target - self._log_mel.of_spectrum(spectrum).T
        gain = np.clip(excess, -MAX_CORRECTION, MAX_CORRECTION) @ self._spread
        spectrum *= np.exp(gain, out=gain)
        return spectrum
