"""Two channels from one: the mid and the symbols of its bands -> left and right.

    mid [samples], symbols [bands, frames]  ->  [2, samples]: mid + side, mid - side

The side of a band is a part of the mid, which sets the direction, and a part that is unrelated to
it, made by a fixed filter, which sets the width. Where every band is in the center the side is
exactly 0. All reach is finite: a sample depends on its neighbourhood only.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bandtok.signal.mel import LogMel, in_blocks
from bandtok.signal.sparse_filters import SparseFilters
from bandtok.stereo.pan import band_weights, cross_energy, symbol_table

FILTER_SAMPLES = 1024
OUTSIDE = -1
_FILTER_SEED, _FILTER_ROUNDS, _FILTER_FADING = 3, 60, 3.0
_SMOOTHING = 3  # mel frames over which energies are averaged
_RAMP = 5  # mel frames that the step from one token frame to the next takes
_MAX_GAIN = 4.0
_TINY = 1e-12


class Spread:
    """Makes two channels of an excerpt of mid.

    Args:
        log_mel: gives the framing and the filterbank.
        num_bands: rows of the grid.
        reduction: mel frames in a token frame.
    """

    def __init__(self, log_mel: LogMel, num_bands: int, reduction: int) -> None:
        self.log_mel, self.reduction = log_mel, reduction
        self.bands = SparseFilters(band_weights(log_mel, num_bands))
        self.bins = SparseFilters(band_weights(log_mel, log_mel.config.n_mels))
        self.decorrelator = decorrelation_filter()
        self.table = symbol_table()

    @property
    def reach(self) -> int:
        """Token frames on either side that a sample can depend on, rounded up."""
        config = self.log_mel.config
        hops = -(-(config.n_fft + FILTER_SAMPLES) // config.hop_length) + _SMOOTHING // 2
        return -(-max(hops, config.n_fft // config.hop_length + _RAMP // 2) // self.reduction)

    def __call__(self, mid: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Turn an excerpt of mid into left and right.

        Args:
            mid: float32 [frames * samples_per_frame].
            symbols: int64 [bands, frames], OUTSIDE for frames that are not of the piece.

        Returns:
            [2, frames * samples_per_frame]; within `reach` of both ends not to be used.
        """
        padding = self.log_mel.config.padding
        mid_spectrum, apart_spectrum = (
            self.log_mel.spectrum(np.pad(signal, padding))
            for signal in (mid, _convolved(mid, self.decorrelator))
        )
        of_mid, of_apart = self._gains(mid_spectrum, apart_spectrum, symbols)
        spectrum = of_mid * mid_spectrum + of_apart * apart_spectrum
        side = self.log_mel.overlap_add(in_blocks(spectrum), len(spectrum))
        return np.stack((mid + side, mid - side))

    def _gains(
        self, mid: np.ndarray, apart: np.ndarray, symbols: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how much the side takes of either spectrum, all [mel_frames, frequencies].

        What the filter made is freed of its rest of mid and brought to the mid's energy in every
        mel bin, so that both channels keep the spectrum of the mid but for the bands' levels.
        """
        energy, energy_apart = self._by_bin(mid, mid), self._by_bin(apart, apart)
        rest = self._by_bin(mid, apart) / (energy + _TINY)
        free = np.maximum(energy_apart - np.square(rest) * energy, 0)
        scale = np.minimum(np.sqrt((energy + _TINY) / (free + _TINY)), _MAX_GAIN)
        along, across = (
            self.bands.sum_filters(self._over_time(values, symbols).T)
            for values in (self.table.side_of_mid, self.table.side_apart)
        )
        of_mid = along - across * self.bins.sum_filters((scale * rest).T)
        return of_mid, across * self.bins.sum_filters(scale.T)

    def _by_bin(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the mel bins' energies [n_mels, mel_frames], averaged over a few mel frames."""
        return _smoothed(self.bins.sum_bins(cross_energy(first, second)).T, _SMOOTHING)

    def _over_time(self, values: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """Hold each symbol's value for its token frame, with ramps between: [bands, mel_frames].

        Where the piece has not begun or is over, its nearest symbol continues.
        """
        known = (symbols != OUTSIDE).astype(values.dtype)
        held = np.stack((values[np.maximum(symbols, 0)] * known, known))
        ramps = _smoothed(held.repeat(self.reduction, axis=2), _RAMP)
        result: np.ndarray = ramps[0] / np.maximum(ramps[1], _TINY)
        return result


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


def _smoothed(values: np.ndarray, width: int) -> np.ndarray:
    """Return the mean over `width` neighbors, an odd number, along the last axis; 0 outside."""
    margin = width // 2
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(margin, margin)])
    result: np.ndarray = sliding_window_view(padded, width, axis=-1).sum(axis=-1) / np.float32(
        width
    )
    return result


def _convolved(signal: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Convolve [n] with [m]; the result is as long as the signal."""
    size = 1 << (len(signal) + len(taps)).bit_length()
    product = np.fft.rfft(signal, size) * np.fft.rfft(taps, size)
    return np.fft.irfft(product, size)[: len(signal)]
