"""Waveform to log-mel spectrogram: the one front-end of every network here.

    waveform [samples] -> ln-mel [n_mels, samples // hop_length]

The settings are those of the public BigVGAN v2 ``44khz_128band_512x`` vocoder, so that its weights
can be plugged in. Has no learned parameters and knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bandtok.errors import AudioError, ConfigError
from bandtok.signal.mel_filters import mel_frequencies, triangular_mel_filters
from bandtok.signal.sparse_filters import SparseFilters

MAGNITUDE_OFFSET = 1e-9
"""Added to squared magnitudes: keeps the gradient of the magnitude finite at zero."""
_LEAST_ENVELOPE = 1e-4
_BLOCK_FRAMES = 32


@dataclass(frozen=True, kw_only=True)
class MelConfig:
    """Settings of the log-mel transform; lengths in samples, frequencies in Hz.

    Attributes:
        sample_rate: of the audio.
        n_fft, win_length, hop_length: of the short-time Fourier transform.
        n_mels: mel bins.
        f_min, f_max: range of the mel bins.
        floor: least magnitude before the logarithm.
    """

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


class LogMel:
    """Natural logarithm of the Slaney mel of the magnitude spectrum, on arrays.

    Frame i is centered on sample i * hop_length + hop_length / 2.
    :class:`bandtok.signal.torch_mel.TorchLogMel` is the same with gradients.

    Source: BigVGAN v2 published config (n_fft 2048, hop 512, 128 mels, center=False, reflect
    padding of (n_fft - hop) / 2).

    Attributes:
        config: its settings.
        window: float32 [n_fft], a periodic Hann window of `win_length` in the middle.
        filterbank: float32 [n_mels, n_fft // 2 + 1].
        filters: the same, to apply.
    """

    def __init__(self, config: MelConfig | None = None) -> None:
        self.config = config = config or MelConfig()
        self.window = hann_window(config)
        self.filterbank = mel_filterbank(config)
        # numpy computes transforms with a factor of 1 in double precision, at a third of the speed.
        self._scaled_window = self.window * config.n_fft
        self.filters = SparseFilters(self.filterbank)

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Return the ln-mel, float32 [n_mels, samples // hop_length], of float32 [samples].

        Raises:
            AudioError: if the shape is wrong or the waveform too short to be reflected.
        """
        padding = self.config.padding
        if waveform.ndim != 1 or len(waveform) <= padding:
            raise AudioError(
                f"got a waveform of shape {waveform.shape}; expected [samples] with more than "
                f"{padding} samples"
            )
        return self.from_padded(np.pad(waveform, padding, mode="reflect"))

    def from_padded(self, waveform: np.ndarray) -> np.ndarray:
        """Compute the ln-mel of a waveform that already carries its `padding` on both sides."""
        blocks = [self.of_spectrum(block) for block in self.spectrum_blocks(waveform)]
        return np.concatenate([*blocks, np.zeros((0, self.config.n_mels), np.float32)]).T

    def spectrum(self, waveform: np.ndarray) -> np.ndarray:
        """Return complex64 [frames, n_fft // 2 + 1] of a waveform that carries its padding."""
        return np.concatenate(list(self.spectrum_blocks(waveform)))

    def spectrum_blocks(self, waveform: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the spectrum of a waveform that carries its padding, a few frames at a time.

        Yields:
            complex64 [n, n_fft // 2 + 1]; so few frames that a processor's cache holds them.
        """
        config = self.config
        frames = sliding_window_view(waveform, config.n_fft)[:: config.hop_length]
        for block in in_blocks(frames):
            yield np.fft.rfft(block * self._scaled_window, norm="forward")

    def of_spectrum(self, spectrum: np.ndarray) -> np.ndarray:
        """Return the ln-mel, float32 [frames, n_mels], of complex64 [frames, n_fft // 2 + 1]."""
        magnitude = np.abs(spectrum)
        magnitude *= magnitude
        magnitude += MAGNITUDE_OFFSET
        mel = self.filters.sum_bins(np.sqrt(magnitude, out=magnitude))
        result: np.ndarray = np.log(np.maximum(mel, self.config.floor, out=mel), out=mel)
        return result

    def overlap_add(self, blocks: Iterable[np.ndarray], frames: int) -> np.ndarray:
        """Return the waveform, float32 [frames * hop_length], of a short-time spectrum.

        Its least-squares inverse.

        Args:
            blocks: complex64 [n, n_fft // 2 + 1], `frames` in all.
            frames: of the whole spectrum.
        """
        config, first = self.config, 0
        total = self._no_hops(frames)
        for block in blocks:
            pieces = np.fft.irfft(block, config.n_fft)
            pieces *= self.window
            self._add(total[first:], pieces)
            first += len(block)
        envelope = self._no_hops(frames)
        self._add(envelope, np.broadcast_to(self.window**2, (frames, config.n_fft)))
        total /= np.maximum(envelope, _LEAST_ENVELOPE, out=envelope)
        return total.ravel()[config.padding :][: frames * config.hop_length]

    def _no_hops(self, frames: int) -> np.ndarray:
        hop = self.config.hop_length
        return np.zeros((frames - 1 + -(-self.config.n_fft // hop), hop), np.float32)

    def _add(self, hops: np.ndarray, pieces: np.ndarray) -> None:
        """Add pieces [n, n_fft], each a hop after the last, to the first of `hops` [..., hop]."""
        hop = self.config.hop_length
        for k in range(-(-self.config.n_fft // hop)):
            part = pieces[:, k * hop : (k + 1) * hop]
            hops[k : k + len(pieces), : part.shape[1]] += part


def in_blocks(frames: np.ndarray) -> Iterator[np.ndarray]:
    """Cut [frames, ...] into blocks so small that the processor's cache holds work on them."""
    for first in range(0, len(frames), _BLOCK_FRAMES):
        yield frames[first : first + _BLOCK_FRAMES]


def hann_window(config: MelConfig) -> np.ndarray:
    """Return the periodic Hann window of `win_length`, centered in float32 [n_fft]."""
    window = np.zeros(config.n_fft, np.float32)
    first = (config.n_fft - config.win_length) // 2
    phase = 2 * np.pi * np.arange(config.win_length) / config.win_length
    window[first : first + config.win_length] = 0.5 - 0.5 * np.cos(phase)
    return window


def mel_filterbank(config: MelConfig) -> np.ndarray:
    """Return the area-normalized Slaney filterbank, float32 [n_mels, n_fft // 2 + 1]."""
    return triangular_mel_filters(
        config.sample_rate, config.n_fft, config.n_mels, f_min=config.f_min, f_max=config.f_max
    )


def mel_bin_centers_hz(config: MelConfig) -> np.ndarray:
    """Return the center frequency of every mel bin in Hz, float [n_mels]."""
    edges = mel_frequencies(config.n_mels + 2, config.f_min, config.f_max)
    return edges[1:-1]
