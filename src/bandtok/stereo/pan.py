"""How two channels relate, band by band: measured, one of 64 symbols each, packed into tokens.

    mid and side [2, samples]  ->  symbols [bands, frames]  <->  tokens [pan rows, frames]

A symbol is a level difference between the channels and their coherence; together they say
how the side (left - right) / 2 follows from the mid (left + right) / 2. Knows no networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bandtok.errors import GridError
from bandtok.signal.mel import LogMel
from bandtok.signal.sparse_filters import SparseFilters
from bandtok.tokens.token_header import PAN_BITS, pan_bands_per_token, pan_row_count

NUM_SYMBOLS = 1 << PAN_BITS
LEVEL_STEPS: tuple[tuple[float, int], ...] = (
    (0.0, 6),
    (1.0, 5),
    (2.2, 5),
    (3.8, 5),
    (6.0, 4),
    (9.0, 4),
    (13.0, 3),
    (19.0, 2),
)
"""Level differences in dB, each for either side, and the number of coherence steps there."""
HARD_DB = 26.0
"""From this level difference on, one channel counts as silent."""
CENTER = 0
"""The symbol of two equal channels."""
_SILENCE = 1e-12


@dataclass(frozen=True, kw_only=True)
class SymbolTable:
    """What each symbol means, float32 [64] each.

    Attributes:
        level_db: level of the left channel over the right one; plus or minus infinity when one is
            silent.
        coherence: from 0, unrelated channels, to 1, the same but for the level.
        side_of_mid: p, the part of the side that is the mid times a factor, -1 to 1.
        side_apart: b, the part of the side unrelated to the mid, in units of the mid, 0 to 1.
    """

    level_db: np.ndarray
    coherence: np.ndarray
    side_of_mid: np.ndarray
    side_apart: np.ndarray


def symbol_table() -> SymbolTable:
    """Return the table; symbols that are not used mean the center."""
    rows = [
        (sign * level, 1 - (step / (steps - 1)) ** 2)
        for level, steps in LEVEL_STEPS
        for sign in ((1, -1) if level else (1,))
        for step in range(steps)
    ]
    rows += [(np.inf, 1.0), (-np.inf, 1.0)]
    rows += [rows[CENTER]] * (NUM_SYMBOLS - len(rows))
    level_db, coherence = np.array(rows).T
    mine, theirs = _energies(level_db, coherence)
    along = (mine - theirs) / 4
    apart = np.sqrt(np.maximum(mine - (1 + along) ** 2, 0))
    return SymbolTable(
        level_db=level_db.astype(np.float32),
        coherence=coherence.astype(np.float32),
        side_of_mid=along.astype(np.float32),
        side_apart=np.where(coherence == 1, 0, apart).astype(np.float32),
    )


def _energies(level_db: np.ndarray, coherence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the energies of left and right in units of the mid's: l + r + 2 c sqrt(l r) = 4."""
    weaker = 10 ** (-np.abs(level_db) / 20)  # amplitude, the stronger channel being 1
    stronger_energy = 4 / (1 + weaker**2 + 2 * coherence * weaker)
    weaker_energy = stronger_energy * weaker**2
    left = np.where(level_db >= 0, stronger_energy, weaker_energy)
    right = np.where(level_db >= 0, weaker_energy, stronger_energy)
    return left, right


def band_weights(log_mel: LogMel, num_bands: int) -> np.ndarray:
    """Return how much of each frequency of the spectrum belongs to each band of the grid.

    Returns:
        float32 [num_bands, n_fft // 2 + 1]; every column adds up to 1.
    """
    filterbank = log_mel.filterbank
    filters = filterbank / np.maximum(filterbank.sum(axis=0), 1e-8)
    weights = filters.reshape(num_bands, -1, filters.shape[1]).sum(axis=1)
    covered = np.flatnonzero(weights.sum(axis=0) > 0.5)
    first, last = covered[0], covered[-1]
    weights[:, :first], weights[:, last + 1 :] = weights[:, [first]], weights[:, [last]]
    result: np.ndarray = weights / weights.sum(axis=0)
    return result


class PanAnalysis:
    """Measures the symbols of mid and side.

    Args:
        log_mel: gives the framing and the filterbank.
        num_bands: rows of the grid.
        reduction: mel frames in a token frame.
    """

    def __init__(self, log_mel: LogMel, num_bands: int, reduction: int) -> None:
        self.log_mel, self.reduction = log_mel, reduction
        self.bands = SparseFilters(band_weights(log_mel, num_bands))

    def __call__(self, mid_side: np.ndarray) -> np.ndarray:
        """Turn float [2, samples] with the mel's padding into symbols int64 [bands, frames]."""
        mid, side = (self.log_mel.spectrum(channel) for channel in mid_side)
        energy_mid, energy_side = (self._by_band(cross_energy(part, part)) for part in (mid, side))
        shared = self._by_band(cross_energy(mid, side))
        left = energy_mid + energy_side + 2 * shared
        right = energy_mid + energy_side - 2 * shared
        return quantize(left, right, energy_mid - energy_side)

    def _by_band(self, product: np.ndarray) -> np.ndarray:
        """Add up [mel_frames, bins] to float64 [bands, frames]."""
        bands = self.bands.sum_bins(product).T.astype(np.float64)
        result: np.ndarray = bands.reshape(len(bands), -1, self.reduction).sum(axis=-1)
        return result


def cross_energy(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the real part of first * conj(second), of the shape of both complex arrays."""
    result: np.ndarray = first.real * second.real + first.imag * second.imag
    return result


def quantize(left: np.ndarray, right: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """Return the nearest symbols.

    Args:
        left, right: energies of the two channels, of any one shape.
        shared: real part of their cross spectrum, of the same shape.

    Returns:
        int64 symbols of the same shape. Silence is the center; channels that cancel are taken to
        be unrelated.
    """
    left, right = np.maximum(left, 0), np.maximum(right, 0)
    level_db = 10 * np.log10((left + _SILENCE) / (right + _SILENCE))
    coherence = np.clip(shared / np.maximum(np.sqrt(left * right), _SILENCE), 0, 1)
    levels = np.array([level for level, _ in LEVEL_STEPS])
    edges = np.append((levels[1:] + levels[:-1]) / 2, HARD_DB)
    index = np.searchsorted(edges, np.abs(level_db))
    steps = np.array([steps for _, steps in LEVEL_STEPS] + [1])
    step = np.rint(np.sqrt(1 - coherence) * (steps[index] - 1)).astype(np.int64)
    of_side = np.where((level_db < 0) & (index > 0), steps[index], 0)
    symbols = np.array(_first_symbols())[index] + step + of_side
    return np.where(left + right > _SILENCE, symbols, CENTER)


def _first_symbols() -> list[int]:
    """Return the first symbol of each level, left side, and of the hard ones at the end."""
    firsts = [0]
    for level, steps in LEVEL_STEPS:
        firsts.append(firsts[-1] + steps * (2 if level else 1))
    return firsts


class PanPacking:
    """Symbols <-> tokens: as many neighboring bands in one token as the codebook has room for.

    The lowest band of a token is its lowest digit to base 64. Bands that are not there are the
    center.

    Args:
        num_bands: bands of the grid.
        codebook_size: tokens are below this.

    Raises:
        GridError: if the codebook has no room for one symbol.
    """

    def __init__(self, num_bands: int, codebook_size: int) -> None:
        self.num_bands = num_bands
        self.num_rows = pan_row_count(num_bands, codebook_size)
        if not self.num_rows:
            raise GridError(
                f"got a codebook of {codebook_size} entries; stereo needs at least {NUM_SYMBOLS}, "
                "use a larger tokenizer, or encode in mono"
            )
        self._per_token = pan_bands_per_token(codebook_size)
        self._shifts = PAN_BITS * np.arange(self._per_token)

    def pack(self, symbols: np.ndarray) -> np.ndarray:
        """Turn int64 symbols [bands, frames] into tokens [rows, frames]."""
        missing = self.num_rows * self._per_token - self.num_bands
        filled = np.pad(symbols, ((0, missing), (0, 0)), constant_values=CENTER)
        digits = filled.reshape(self.num_rows, self._per_token, -1)
        result: np.ndarray = (digits << self._shifts[:, None]).sum(axis=1)
        return result

    def unpack(self, tokens: np.ndarray) -> np.ndarray:
        """Turn tokens [rows, frames] into int64 symbols [bands, frames].

        Raises:
            GridError: if a token is not one that `pack` can give.
        """
        limit = 1 << (PAN_BITS * self._per_token)
        if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < limit:
            raise GridError(
                f"got pan tokens from {int(tokens.min())} to {int(tokens.max())}; "
                f"expected 0 to {limit - 1}"
            )
        digits = (tokens[:, None] >> self._shifts[:, None]) & (NUM_SYMBOLS - 1)
        return digits.reshape(-1, tokens.shape[1])[: self.num_bands]
