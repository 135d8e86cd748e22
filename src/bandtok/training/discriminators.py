"""Patch discriminators for training only: mel images, and waveforms through their spectra.

Each returns, per scale, a map of scores (one a patch) and the features on the way to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


@dataclass(frozen=True, kw_only=True)
class DiscriminatorOutput:
    """Output of one discriminator for a batch.

    Attributes:
        scores: [batch, 1, rows, columns], higher means "looks real".
        features: hidden images, for feature matching.
    """

    scores: Tensor
    features: list[Tensor]


class PatchDiscriminator(nn.Module):
    """A small convolutional network that scores overlapping patches of an image.

    Source: Isola et al. 2017 (PatchGAN), with spectral normalization instead of batch norm.
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [in_channels, *channels]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1))
            for before, after in pairwise(widths)
        )
        self.score = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        features = []
        for layer in self.layers:
            image = F.leaky_relu(layer(image), 0.2)
            features.append(image)
        return DiscriminatorOutput(scores=self.score(image), features=features)


class MultiScaleMelDiscriminator(nn.Module):
    """Patch discriminators at several scales of the mel image, each half the size of the last.

    Source: the BandTok paper's multi-scale PatchGAN; scales and widths are ours.
    """

    def __init__(self, num_scales: int = 3, channels: Sequence[int] = (32, 64, 128)) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            PatchDiscriminator(1, channels) for _ in range(num_scales)
        )

    def forward(self, mel: Tensor) -> list[DiscriminatorOutput]:
        """Score a normalized mel [batch, n_mels, mel_frames], finest scale first."""
        image = mel[:, None]
        outputs = []
        for discriminator in self.discriminators:
            outputs.append(discriminator(image))
            image = F.avg_pool2d(image, 2)
        return outputs


class MultiResolutionSpectrumDiscriminator(nn.Module):
    """Discriminators of the complex spectrum of a waveform at several window lengths.

    Source: the idea of UnivNet / EnCodec spectrogram discriminators, made light for CPU training.
    """

    def __init__(
        self,
        fft_sizes: Sequence[int] = (2048, 1024, 512),
        channels: Sequence[int] = (24, 48, 64),
    ) -> None:
        super().__init__()
        self.fft_sizes = tuple(fft_sizes)
        self.discriminators = nn.ModuleList(PatchDiscriminator(2, channels) for _ in self.fft_sizes)

    def forward(self, waveform: Tensor) -> list[DiscriminatorOutput]:
        """Score a waveform [batch, 1, samples]."""
        return [
            discriminator(_compressed_spectrum(waveform[:, 0], n_fft))
            for discriminator, n_fft in zip(self.discriminators, self.fft_sizes, strict=True)
        ]


def _compressed_spectrum(waveform: Tensor, n_fft: int) -> Tensor:
    """Return real and imaginary parts [batch, 2, bins, frames] with magnitudes raised to 0.3."""
    window = torch.hann_window(n_fft, device=waveform.device)
    spectrum = torch.stft(
        waveform, n_fft, n_fft // 4, window=window, center=True, return_complex=True
    )
    parts = torch.stack((spectrum.real, spectrum.imag), dim=1)
    magnitude = (parts.square().sum(1, keepdim=True) + 1e-6).sqrt()
    return parts * magnitude.pow(0.3 - 1)
