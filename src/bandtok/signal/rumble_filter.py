"""A fixed linear-phase high-pass for decoded audio: no DC offset, no rumble below 20 Hz.

    waveform [samples] -> waveform [samples], within `context_samples` of both ends not to be used

The vocoder's spectrum has one bin for 0 Hz and the next at 21.5 Hz, and nothing in a log-mel
constrains the phase there, so what it synthesizes carries a small offset and slow drift. The
filter subtracts a windowed-sinc low-pass. Its impulse response is finite, so a sample depends on a
stated neighborhood only, and decoding in windows stays exact.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CONTEXT_SECONDS = 0.1
"""Length of the impulse response to either side."""
_CUTOFF_HZ = 25.0
_KAISER_BETA = 5.0
_MAX_CACHED_RESPONSES = 16


class RumbleFilter:
    """Linear-phase FIR high-pass: exactly 0 at 0 Hz, -22 dB at 20 Hz, within 1 dB from 30 Hz up.

    Args:
        sample_rate: Hz.
        device: torch device of the signals.
    """

    def __init__(self, sample_rate: int, device: str = "cpu") -> None:
        self._low_pass = low_pass_taps(sample_rate)
        self._device = device
        self._responses: dict[int, Tensor] = {}

    @property
    def context_samples(self) -> int:
        """Samples on either side that a sample of the output depends on."""
        return len(self._low_pass) // 2

    def __call__(self, waveform: Tensor) -> Tensor:
        """Filter float32 [samples], without delay.

        The convolution is circular: the first and the last `context_samples` are invalid.
        """
        size = waveform.shape[-1]
        assert size > 2 * self.context_samples, "shorter than the filter"
        return torch.fft.irfft(torch.fft.rfft(waveform) * self._response(size), size)

    def _response(self, size: int) -> Tensor:
        """Return the zero-phase frequency response on the bins of a transform of `size`."""
        if size not in self._responses:
            if len(self._responses) == _MAX_CACHED_RESPONSES:
                self._responses.clear()
            reach = self.context_samples
            centered = np.zeros(size)
            centered[: reach + 1] = self._low_pass[reach:]
            centered[-reach:] = self._low_pass[:reach]
            response = 1.0 - np.fft.rfft(centered).real
            response[0] = 0.0
            self._responses[size] = torch.from_numpy(response.astype(np.float32)).to(self._device)
        return self._responses[size]


def low_pass_taps(sample_rate: int) -> np.ndarray:
    """Return the low-pass that is subtracted: float64 [2 * reach + 1], symmetric, sum 1.

    A sinc of cutoff 25 Hz under a Kaiser window of 0.1 s to either side, the sharpest edge that
    keeps 30 Hz within 1 dB at that length.
    """
    reach = round(CONTEXT_SECONDS * sample_rate)
    offsets = np.arange(-reach, reach + 1)
    taps = np.sinc(2 * _CUTOFF_HZ / sample_rate * offsets)
    taps *= np.kaiser(2 * reach + 1, _KAISER_BETA)
    return taps / taps.sum()
