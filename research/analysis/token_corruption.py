"""Wrong codes, sampled from those that each row of the grid really uses.

    codes [rows, frames] of several pieces, a true column [rows] -> a column that differs everywhere

Sampled evenly from the whole codebook, most codes would be such as a row never has where it uses
few, and errors would not be equally wrong in systems that use their codes differently.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandtok.errors import GridError

_TRIES = 32


class WrongCodes:
    """Samples wrong codes as often as the pieces have them.

    Args:
        grids: int [rows, frames] of each piece.
        codebook_size: codes there are.

    Raises:
        GridError: if there is but one code.
    """

    def __init__(self, grids: Sequence[np.ndarray], codebook_size: int) -> None:
        if codebook_size < 2:
            raise GridError(f"got codebook_size {codebook_size}; expected at least 2")
        self._codes = np.concatenate(grids, axis=1).astype(np.int64)
        self._size = codebook_size

    def column(self, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return int64 [rows], different from `truth` in every row.

        Takes as many numbers from `rng` whatever the codes, so that places sampled after it are the
        same for every system with as many rows and frames. A row that has one code alone gets the
        next one.
        """
        rows, frames = self._codes.shape
        sampled = self._codes[np.arange(rows)[:, None], rng.integers(frames, size=(rows, _TRIES))]
        differs = sampled != truth[:, None]
        first = sampled[np.arange(rows), differs.argmax(axis=1)]
        found: np.ndarray = np.where(differs.any(axis=1), first, (truth + 1) % self._size)
        return found
