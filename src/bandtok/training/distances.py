"""What training minimises between sounds: mel distances, by loudness, at many resolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bandtok.mel import LogMel, MelConfig


def loud_mel_loss(estimate: Tensor, mel: Tensor) -> Tensor:
    """Return the mean distance of ln-mels [batch, n_mels, mel_frames], loud cells weighing most.

    A cell weighs the square root of its magnitude over that of its frame's loudest cell, so that a
    lone tone counts, though it is a few cells of 128.
    """
    weights = (0.5 * (mel - mel.amax(dim=1, keepdim=True))).exp()
    return (weights * (estimate - mel).abs()).sum() / weights.sum()


def texture_loss(estimate: Tensor, mel: Tensor) -> Tensor:
    """Compare how much two mels [batch, n_mels, mel_frames] change, place by place.

    The mean absolute change from frame to frame, and from bin to bin, over squares of 4 and of 16
    cells, relative to the mean over all of `mel`: where exactly a texture rises and falls is free,
    how much it does is not. Plain distances reward blur; this one does not see it as nearer.
    """
    losses = []
    for dim in (-1, -2):
        changes = [image.diff(dim=dim).abs()[:, None] for image in (estimate, mel)]
        for size in (4, 16):
            made, wanted = (F.avg_pool2d(change, size, size // 2) for change in changes)
            losses.append((made - wanted).abs().mean() / wanted.mean().clamp(min=1e-3))
    return torch.stack(losses).mean()


def flux_loss(estimate: Tensor, mel: Tensor) -> Tensor:
    """Compare the rises of two normalized mels [batch, n_mels, mel_frames] frame by frame.

    Rises are averaged over 16 mel bins and over all of them, so that an attack counts when it
    comes, whichever bins carry it.
    """
    rises = [image.diff(dim=-1).relu()[:, None] for image in (estimate, mel)]
    losses = []
    for bins in (16, estimate.shape[1]):
        made, wanted = (F.avg_pool2d(r, (bins, 1), (max(bins // 2, 1), 1)) for r in rises)
        losses.append((made - wanted).abs().mean() / wanted.mean().clamp(min=1e-3))
    return torch.stack(losses).mean()


def onset_loss(estimate: Tensor, mel: Tensor) -> Tensor:
    """Return 1 - the correlation over time of the rises of two mels [batch, n_mels, mel_frames].

    Rises are averaged over quarters of the bins and over all of them: what stands out of the
    texture at the same moment in many bins is an attack, and attacks have to come when they come.
    """
    losses = []
    rises = [image.diff(dim=-1).relu() for image in (estimate, mel)]
    for parts in (1, 4):
        curves = [r.unflatten(1, (parts, -1)).mean(dim=2) for r in rises]
        made, wanted = (curve - curve.mean(dim=-1, keepdim=True) for curve in curves)
        losses.append(1 - F.cosine_similarity(made, wanted, dim=-1, eps=1e-3).mean())
    return torch.stack(losses).mean()


class PitchLoss(nn.Module):
    """L1 of log magnitudes on 36 bins per octave, from windows of 93 and 186 ms.

    Triangles on a logarithmic axis over a long short-time spectrum: an approximation of the
    constant-Q transform that is cheap and differentiable. The mean of each frame is removed, since
    level is what the mel losses look after.

    Args:
        sample_rate: Hz.
        hertz: lowest and highest center frequency.
    """

    def __init__(self, sample_rate: int, hertz: tuple[float, float] = (80.0, 4200.0)) -> None:
        super().__init__()
        self.windows = (4096, 8192)
        for n_fft in self.windows:
            low = max(hertz[0], 3.0 * sample_rate / n_fft)
            filters = log_filterbank(sample_rate, n_fft, (low, hertz[1]))
            self.register_buffer(f"filters_{n_fft}", filters, persistent=False)
            self.register_buffer(f"window_{n_fft}", torch.hann_window(n_fft), persistent=False)

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Return the scalar loss between waveforms [batch, 1, samples]."""
        losses = []
        for n_fft in self.windows:
            first, second = (self._log_magnitudes(w[:, 0], n_fft) for w in (estimate, reference))
            losses.append((first - second).abs().mean())
        return torch.stack(losses).mean()

    def _log_magnitudes(self, waveform: Tensor, n_fft: int) -> Tensor:
        window, filters = getattr(self, f"window_{n_fft}"), getattr(self, f"filters_{n_fft}")
        spectrum = torch.stft(
            waveform, n_fft, n_fft // 8, window=window, center=False, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        logs = (filters @ power + 1e-5).log() * 0.5
        return logs - logs.mean(dim=1, keepdim=True)


def log_filterbank(sample_rate: int, n_fft: int, hertz: tuple[float, float]) -> Tensor:
    """Return triangles, a third of a semitone apart, as float32 [bins, n_fft // 2 + 1]."""
    low, high = hertz
    count = int(36 * math.log2(high / low)) + 1
    centers = low * 2 ** (torch.arange(-1, count + 1, dtype=torch.float64) / 36)
    frequencies = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    # No triangle is narrower than the distance of two bins of the spectrum.
    width = torch.clamp(centers[1:-1] - centers[:-2], min=sample_rate / n_fft)
    distance = (frequencies[None] - centers[1:-1, None]).abs() / width[:, None]
    return (1 - distance).clamp(min=0).float()


class MultiResolutionMelLoss(nn.Module):
    """L1 of log-mels over windows from 5 to 93 ms, hop a quarter of the window.

    Source: the multi-scale mel loss of DAC (Kumar et al. 2023), with fewer and wider scales.
    """

    def __init__(
        self,
        sample_rate: int,
        scales: Sequence[tuple[int, int]] = ((256, 24), (512, 40), (1024, 80), (4096, 256)),
    ) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(
            LogMel(
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
