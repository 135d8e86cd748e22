"""Two channels from one: the mid and the symbols of its bands -> left and right.

    mid [samples], symbols [bands, frames]  ->  [2, samples]: mid + side, mid - side

The side of a band is a part of the mid, which sets the direction, and a part that is unrelated to
it, made by a fixed filter, which sets the width. Where every band is in the center the side is
exactly 0. All reach is finite: a sample depends on its neighbourhood only.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bandtok.signal.mel import LogMel
from bandtok.stereo.pan import band_weights, cross_energy, symbol_table

FILTER_SAMPLES = 1024
OUTSIDE = -1
_FILTER_SEED, _FILTER_ROUNDS, _FILTER_FADING = 3, 60, 3.0
_SMOOTHING = 3  # mel frames over which energies are averaged
_RAMP = 5  # mel frames that the step from one token frame to the next takes
_MAX_GAIN = 4.0
_TINY = 1e-12


class Spread(nn.Module):
    """Makes two channels of a stretch of mid.

    Args:
        log_mel: gives the framing and the filterbank.
        num_bands: rows of the grid.
        reduction: mel frames in a token frame.
    """

    bands: Tensor
    bins: Tensor
    decorrelator: Tensor
    side_of_mid: Tensor
    side_apart: Tensor

    def __init__(self, log_mel: LogMel, num_bands: int, reduction: int) -> None:
        super().__init__()
        self.log_mel, self.reduction = log_mel, reduction
        table = symbol_table()
        buffers = {
            "bands": band_weights(log_mel, num_bands),
            "bins": band_weights(log_mel, log_mel.config.n_mels),
            "decorrelator": torch.from_numpy(decorrelation_filter()),
            "side_of_mid": torch.from_numpy(table.side_of_mid),
            "side_apart": torch.from_numpy(table.side_apart),
        }
        for name, tensor in buffers.items():
            self.register_buffer(name, tensor, persistent=False)

    @property
    def reach(self) -> int:
        """Token frames on either side that a sample can depend on, rounded up."""
        config = self.log_mel.config
        hops = -(-(config.n_fft + FILTER_SAMPLES) // config.hop_length) + _SMOOTHING // 2
        return -(-max(hops, config.n_fft // config.hop_length + _RAMP // 2) // self.reduction)

    def forward(self, mid: Tensor, symbols: Tensor) -> Tensor:
        """Turn a stretch of mid into left and right.

        Args:
            mid: float [frames * samples_per_frame].
            symbols: int64 [bands, frames], OUTSIDE for frames that are not of the piece.

        Returns:
            [2, frames * samples_per_frame]; within `reach` of both ends not to be used.
        """
        padding = self.log_mel.config.padding
        both = F.pad(torch.stack((mid, _convolved(mid, self.decorrelator))), (padding, padding))
        mid_spectrum, apart_spectrum = self.log_mel.spectrum(both[:, None])
        of_mid, of_apart = self._gains(mid_spectrum, apart_spectrum, symbols)
        side = self._waveform(of_mid * mid_spectrum + of_apart * apart_spectrum)
        return torch.stack((mid + side, mid - side))

    def _gains(self, mid: Tensor, apart: Tensor, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return how much the side takes of either spectrum, all [frequencies, mel_frames].

        What the filter made is freed of its rest of mid and brought to the mid's energy in every
        mel bin, so that both channels keep the spectrum of the mid but for the bands' levels.
        """
        energy, energy_apart = self._by_bin(mid, mid), self._by_bin(apart, apart)
        rest = self._by_bin(mid, apart) / (energy + _TINY)
        free = (energy_apart - rest.square() * energy).clamp(min=0)
        scale = ((energy + _TINY) / (free + _TINY)).sqrt().clamp(max=_MAX_GAIN)
        along, across = (
            self.bands.T @ self._over_time(values, symbols)
            for values in (self.side_of_mid, self.side_apart)
        )
        of_mid = along - across * (self.bins.T @ (scale * rest))
        return of_mid, across * (self.bins.T @ scale)

    def _by_bin(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the mel bins' energies [n_mels, mel_frames], averaged over a few mel frames."""
        energies = self.bins @ cross_energy(first, second)
        return F.avg_pool1d(energies, _SMOOTHING, stride=1, padding=_SMOOTHING // 2)

    def _over_time(self, values: Tensor, symbols: Tensor) -> Tensor:
        """Hold each symbol's value for its token frame, with ramps between: [bands, mel_frames].

        Where the piece has not begun or is over, its nearest symbol goes on.
        """
        known = (symbols != OUTSIDE).to(values.dtype)
        held = torch.stack((values[symbols.clamp(min=0)] * known, known))
        ramps = F.avg_pool1d(
            held.repeat_interleave(self.reduction, dim=2), _RAMP, stride=1, padding=_RAMP // 2
        )
        return ramps[0] / ramps[1].clamp(min=_TINY)

    def _waveform(self, spectrum: Tensor) -> Tensor:
        """Turn a spectrum [frequencies, mel_frames] into samples [mel_frames * hop_length]."""
        config, window = self.log_mel.config, self.log_mel.window
        hop, overlap = config.hop_length, config.n_fft // config.hop_length
        pieces = torch.fft.irfft(spectrum.T, config.n_fft, dim=-1) * window
        parts = pieces.unflatten(-1, (overlap, hop))
        shifted = [F.pad(parts[:, k], (0, 0, k, overlap - 1 - k)) for k in range(overlap)]
        envelope = window.square().unflatten(0, (overlap, hop)).sum(0)
        samples = (torch.stack(shifted).sum(0) / envelope).flatten()
        return samples[config.padding :][: spectrum.shape[1] * hop]


def decorrelation_filter(samples: int = FILTER_SAMPLES) -> np.ndarray:
    """Return a short filter of fading noise that keeps the energy at every frequency.

    Returns:
        float32 [samples] of unit energy, magnitude response nearly flat; always the same.
    """
    fading = np.exp(-_FILTER_FADING * np.arange(samples) / samples)
    taps = (np.random.default_rng(_FILTER_SEED).random(samples) - 0.5) * fading
    for _ in range(_FILTER_ROUNDS):
        spectrum = np.fft.rfft(taps, 4 * samples)
        taps = np.fft.irfft(spectrum / np.abs(spectrum).clip(1e-6))[:samples]
    return (taps / np.linalg.norm(taps)).astype(np.float32)


def _convolved(signal: Tensor, taps: Tensor) -> Tensor:
    """Convolve [n] with [m]; the result is as long as the signal."""
    size = 1 << (signal.shape[0] + taps.shape[0]).bit_length()
    product = torch.fft.rfft(signal, size) * torch.fft.rfft(taps, size)
    return torch.fft.irfft(product, size)[: signal.shape[0]]
