"""From the vocoder network's spectrum to the waveform, on arrays.

The same as the end of :class:`bandtok.vocoder.model.Vocoder`, which is trained through it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bandtok.signal.mel import LogMel, in_blocks
from bandtok.signal.sparse_filters import SparseFilters
from bandtok.vocoder.config import MAX_CORRECTION, MAX_LOG_MAGNITUDE, VocoderConfig


class Synthesis:
    """Magnitudes and phases to a waveform whose mel is moved towards a target a few times."""

    def __init__(self, config: VocoderConfig) -> None:
        self._log_mel, self._num_corrections = LogMel(config.mel), config.num_corrections
        filterbank = self._log_mel.filterbank
        shares = filterbank / np.maximum(filterbank.sum(axis=0), 1e-8)
        self._shares = SparseFilters(shares)

    def __call__(self, spectrum: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return the waveform, float32 [mel_frames * hop_length].

        Args:
            spectrum: log magnitudes and phases, float32 [mel_frames, n_fft + 2].
            target: ln-mel, float32 [mel_frames, n_mels].
        """
        frames, padding = len(spectrum), self._log_mel.config.padding
        waveform = self._log_mel.overlap_add(_complex_blocks(spectrum), frames)
        for _ in range(self._num_corrections):
            blocks = self._corrected_blocks(np.pad(waveform, padding), target)
            waveform = self._log_mel.overlap_add(blocks, frames)
        return waveform

    def _corrected_blocks(self, waveform: np.ndarray, target: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the spectrum of a padded waveform with its magnitudes moved towards the target."""
        first = 0
        for block in self._log_mel.spectrum_blocks(waveform):
            excess = target[first : first + len(block)] - self._log_mel.of_spectrum(block)
            np.clip(excess, -MAX_CORRECTION, MAX_CORRECTION, out=excess)
            gain = self._shares.sum_filters(excess)
            block *= np.exp(gain, out=gain)
            yield block
            first += len(block)


def _complex_blocks(spectrum: np.ndarray) -> Iterator[np.ndarray]:
    """Turn log magnitudes and phases [frames, 2 * bins] into blocks complex64 [n, bins]."""
    bins = spectrum.shape[1] // 2
    for block in in_blocks(spectrum):
        magnitude = np.exp(np.minimum(block[:, :bins], MAX_LOG_MAGNITUDE))
        values = np.empty((len(block), bins), np.complex64)
        np.multiply(magnitude, np.cos(block[:, bins:]), out=values.real)
        np.multiply(magnitude, np.sin(block[:, bins:]), out=values.imag)
        yield values
