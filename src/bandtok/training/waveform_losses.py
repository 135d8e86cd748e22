"""Training losses between two waveforms: log-mels at several resolutions, and pitch.

estimate, reference: [batch, 1, samples] -> scalar, 0 for equal waveforms
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bandtok.signal.mel import MelConfig
from bandtok.signal.torch_mel import TorchLogMel

_BINS_PER_OCTAVE = 36
_PITCH_WINDOWS = (4096, 8192)
_PITCH_FLOOR = 1e-5


class MultiResolutionMelLoss(nn.Module):
    """L1 of log-mels over windows from 6 to 93 ms, with a hop of a quarter of the window.

    Source: the multi-scale mel loss of DAC (Kumar et al. 2023), with fewer and wider scales.

    Args:
        sample_rate: Hz.
        scales: window in samples and number of mel bins of each scale.
    """

    def __init__(
        self,
        sample_rate: int,
        scales: Sequence[tuple[int, int]] = ((256, 24), (512, 40), (1024, 80), (4096, 256)),
    ) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(
            TorchLogMel(
                MelConfig(
                    sample_rate=sample_rate,
                    n_fft=n_fft,
                    win_length=n_fft,
                    hop_length=n_fft // 4,
                    n_mels=n_mels,
                    f_max=sample_rate / 2,
                )
            )
            for n_fft, n_mels in scales
        )

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Return the scalar loss between waveforms [batch, 1, samples]."""
        losses = [(t(estimate) - t(reference)).abs().mean() for t in self.transforms]
        return torch.stack(losses).mean()


class PitchLoss(nn.Module):
    """L1 of log magnitudes on 36 bins per octave, from windows of 93 and 186 ms at 44.1 kHz.

    Triangular filters on a logarithmic axis over a long short-time spectrum: an approximation of
    the constant-Q transform that is cheap and differentiable. The mean of each frame is removed,
    since the mel losses account for level. Waveforms shorter than a window are padded with zeros.

    Args:
        sample_rate: Hz.
        hertz: lowest and highest center frequency.
    """

    def __init__(self, sample_rate: int, hertz: tuple[float, float] = (80.0, 4200.0)) -> None:
        super().__init__()
        for n_fft in _PITCH_WINDOWS:
            low = max(hertz[0], 3.0 * sample_rate / n_fft)
            filters = log_filterbank(sample_rate, n_fft, (low, hertz[1]))
            self.register_buffer(f"filters_{n_fft}", filters, persistent=False)
            self.register_buffer(f"window_{n_fft}", torch.hann_window(n_fft), persistent=False)

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Return the scalar loss between waveforms [batch, 1, samples]."""
        losses = []
        for n_fft in _PITCH_WINDOWS:
            first, second = (self._log_magnitudes(w[:, 0], n_fft) for w in (estimate, reference))
            losses.append((first - second).abs().mean())
        return torch.stack(losses).mean()

    def _log_magnitudes(self, waveform: Tensor, n_fft: int) -> Tensor:
        """Return ln magnitudes [batch, bins, frames] of [batch, samples], each frame's mean 0."""
        window, filters = getattr(self, f"window_{n_fft}"), getattr(self, f"filters_{n_fft}")
        missing = max(n_fft - waveform.shape[-1], 0)
        spectrum = torch.stft(
            nn.functional.pad(waveform, (0, missing)),
            n_fft,
            n_fft // 8,
            window=window,
            center=False,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        log_magnitudes = (filters @ power + _PITCH_FLOOR).log() * 0.5
        result: Tensor = log_magnitudes - log_magnitudes.mean(dim=1, keepdim=True)
        return result


def log_filterbank(sample_rate: int, n_fft: int, hertz: tuple[float, float]) -> Tensor:
    """Return triangular filters a third of a semitone apart, float32 [bins, n_fft // 2 + 1].

    Each has a peak of 1 at its center and falls to 0 at its neighbors' centers, but is never
    narrower than two bins of the spectrum.

    Args:
        sample_rate: Hz.
        n_fft: window of the spectrum.
        hertz: lowest center frequency and the limit of the highest.
    """
    low, high = hertz
    count = int(_BINS_PER_OCTAVE * math.log2(high / low)) + 1
    steps = torch.arange(-1, count + 1, dtype=torch.float64) / _BINS_PER_OCTAVE
    centers = low * 2**steps
    frequencies = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    width = torch.clamp(centers[1:-1] - centers[:-2], min=sample_rate / n_fft)
    distance = (frequencies[None] - centers[1:-1, None]).abs() / width[:, None]
    return (1 - distance).clamp(min=0).float()
