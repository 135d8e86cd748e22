"""A fixed linear-phase high-pass for decoded audio: no DC offset, no rumble below 20 Hz.

    waveform [samples] -> waveform [samples]

The vocoder's spectrum has one bin for 0 Hz and the next at 21.5 Hz, and nothing in a log-mel
constrains the phase there, so what it synthesizes carries a small offset and slow drift. The
filter subtracts a windowed-sinc low-pass. Its impulse response is finite, so a sample depends on a
stated neighborhood only, and decoding in windows stays exact.
"""

from __future__ import annotations

import math

import numpy as np

CONTEXT_SECONDS = 0.1
"""Length of the impulse response to either side."""
_CUTOFF_HZ = 25.0
_KAISER_BETA = 5.0
_LEAST_BLOCK_SAMPLES = 16_384


class RumbleFilter:
    """Linear-phase FIR high-pass: exactly 0 at 0 Hz, -22 dB at 20 Hz, within 1 dB from 30 Hz up.

    Args:
        sample_rate: Hz.

    Attributes:
        context_samples: samples on either side that a sample of the output depends on.
    """

    def __init__(self, sample_rate: int) -> None:
        low_pass = low_pass_taps(sample_rate)
        self.context_samples = reach = len(low_pass) // 2
        self._size = 2 ** math.ceil(math.log2(_LEAST_BLOCK_SAMPLES + 2 * reach))
        centered = np.zeros(self._size)
        centered[: reach + 1] = low_pass[reach:]
        centered[-reach:] = low_pass[:reach]
        response = 1.0 - np.fft.rfft(centered).real
        response[0] = 0.0
        # numpy computes transforms with a factor of 1 in double precision, and slowly.
        self._scaled_response = (response * self._size).astype(np.float32)

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Filter float32 [..., samples], without delay; what lies outside is taken to be zero.

        Computed block by block at fixed places, one transform each, so that not even the rounding
        of a sample depends on anything farther away than its block and the filter's reach.
        """
        reach, samples = self.context_samples, waveform.shape[-1]
        block = self._size - 2 * reach
        count = -(-samples // block)
        padded = np.zeros((*waveform.shape[:-1], count * block + 2 * reach), np.float32)
        padded[..., reach : reach + samples] = waveform
        filtered = np.empty((*waveform.shape[:-1], count * block), np.float32)
        for first in range(0, count * block, block):
            piece = np.fft.rfft(padded[..., first : first + self._size], norm="forward")
            kept = np.fft.irfft(piece * self._scaled_response, self._size)[..., reach:][..., :block]
            filtered[..., first : first + block] = kept
        return filtered[..., :samples]


def low_pass_taps(sample_rate: int) -> np.ndarray:
    """Return the low-pass that is subtracted: float64 [2 * reach + 1], symmetric, sum 1.

    A sinc of cutoff 25 Hz under a Kaiser window of 0.1 s to either side, the sharpest edge that
    keeps 30 Hz within 1 dB at that length.
    """
    reach = round(CONTEXT_SECONDS * sample_rate)
    offsets = np.arange(-reach, reach + 1)
    taps = np.sinc(2 * _CUTOFF_HZ / sample_rate * offsets)
    taps *= np.kaiser(2 * reach + 1, _KAISER_BETA)
    result: np.ndarray = taps / taps.sum()
    return result
