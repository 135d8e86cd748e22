"""Waveform to log-mel spectrogram: the one front-end of every network here.

    waveform [batch, 1, samples] -> ln-mel [batch, n_mels, samples // hop_length]

The settings are those of the public BigVGAN v2 ``44khz_128band_512x`` vocoder, so that its weights
can be plugged in. Has no learned parameters and knows nothing of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bandtok.errors import AudioError, ConfigError
from bandtok.signal.mel_filters import mel_frequencies, triangular_mel_filters


@dataclass(frozen=True, kw_only=True)
class MelConfig:
    """Settings of the log-mel transform; lengths in samples, frequencies in Hz."""

    sample_rate: int = 44_100
    n_fft: int = 2048
    win_length: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    f_min: float = 0.0
    f_max: float = 22_050.0
    floor: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 < self.hop_length <= self.win_length <= self.n_fft:
            raise ConfigError(
                f"got hop {self.hop_length}, window {self.win_length}, n_fft {self.n_fft}; "
                "expected 0 < hop_length <= win_length <= n_fft"
            )
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ConfigError(
                f"got {self.f_min}-{self.f_max} Hz; "
                f"expected a range within 0-{self.sample_rate / 2}"
            )

    @property
    def padding(self) -> int:
        """Samples a frame reaches beyond its own hop, on the left."""
        return (self.n_fft - self.hop_length) // 2

    @property
    def silence(self) -> float:
        """The ln-mel value of digital silence."""
        return float(np.log(self.floor))


class LogMel(nn.Module):
    """Natural logarithm of the Slaney mel of the magnitude spectrum.

    Frame i is centered on sample i * hop_length + hop_length / 2.

    Source: BigVGAN v2 published config (n_fft 2048, hop 512, 128 mels, center=False, reflect
    padding of (n_fft - hop) / 2).
    """

    window: Tensor
    filterbank: Tensor

    def __init__(self, config: MelConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MelConfig()
        self.register_buffer("window", torch.hann_window(config.win_length), persistent=False)
        filterbank = torch.from_numpy(mel_filterbank(config))
        self.register_buffer("filterbank", filterbank, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Compute the ln-mel.

        Args:
            waveform: float [batch, 1, samples] with more than `padding` samples.

        Returns:
            [batch, n_mels, samples // hop_length].

        Raises:
            AudioError: if the shape is wrong or the waveform too short to be reflected.
        """
        padding = self.config.padding
        if waveform.ndim != 3 or waveform.shape[1] != 1 or waveform.shape[2] <= padding:
            raise AudioError(
                f"got a waveform of shape {tuple(waveform.shape)}; "
                f"expected [batch, 1, samples] with more than {padding} samples"
            )
        padded = nn.functional.pad(waveform, (padding, padding), mode="reflect")
        return self.from_padded(padded)

    def from_padded(self, waveform: Tensor) -> Tensor:
        """Compute the ln-mel of a waveform that already carries its `padding` on both sides."""
        return self.of_spectrum(self.spectrum(waveform))

    def spectrum(self, waveform: Tensor) -> Tensor:
        """Return complex [batch, n_fft // 2 + 1, mel_frames] of a waveform with its `padding`."""
        config = self.config
        return torch.stft(
            waveform[:, 0],
            config.n_fft,
            config.hop_length,
            config.win_length,
            self.window,
            center=False,
            return_complex=True,
        )

    def of_spectrum(self, spectrum: Tensor) -> Tensor:
        """Return the ln-mel [batch, n_mels, mel_frames] of a complex spectrum."""
        # The small constant keeps the gradient of the magnitude finite at zero.
        magnitude = torch.sqrt(spectrum.real.square() + spectrum.imag.square() + 1e-9)
        mel = self.filterbank @ magnitude
        return torch.log(mel.clamp(min=self.config.floor))


def mel_filterbank(config: MelConfig) -> np.ndarray:
    """Return the area-normalized Slaney filterbank, float32 [n_mels, n_fft // 2 + 1]."""
    return triangular_mel_filters(
        config.sample_rate, config.n_fft, config.n_mels, f_min=config.f_min, f_max=config.f_max
    )


def mel_bin_centers_hz(config: MelConfig) -> np.ndarray:
    """Return the center frequency of every mel bin in Hz, float [n_mels]."""
    edges = mel_frequencies(config.n_mels + 2, config.f_min, config.f_max)
    return edges[1:-1]
