"""How a codebook is used: which codes, how often, in which band.

    codes [bands, frames], any number of grids -> shares and entropies

Only counts are kept, so a corpus of any length needs the same memory. Knows nothing of networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bandtok.errors import GridError


@dataclass(frozen=True, kw_only=True)
class CodeStatistics:
    """Statistics of a set of tokens from one codebook.

    Attributes:
        num_tokens: tokens counted.
        used_codes: different codes among them.
        used_share: used_codes / codebook size, in [0, 1].
        entropy_bits: plug-in entropy of the code distribution, in bits per token. Biased low when
            there are few tokens for each code.
        corrected_entropy_bits: the same with the Miller-Madow correction, at most
            log2(codebook size).
        top_share: share of all tokens that fall on the most frequent one per cent of the codebook.
    """

    num_tokens: int
    used_codes: int
    used_share: float
    entropy_bits: float
    corrected_entropy_bits: float
    top_share: float


@dataclass(frozen=True, kw_only=True)
class CodebookUsage:
    """Statistics over all bands together and for each band, lowest first."""

    codebook_size: int
    overall: CodeStatistics
    bands: tuple[CodeStatistics, ...]

    @property
    def max_entropy_bits(self) -> float:
        """Entropy of a codebook whose codes are all equally frequent."""
        return math.log2(self.codebook_size)


class UsageCounter:
    """Counts codes by band, grid after grid.

    Args:
        codebook_size: number of codes.
        num_bands: rows of every grid.
    """

    def __init__(self, codebook_size: int, num_bands: int) -> None:
        if codebook_size < 1 or num_bands < 1:
            raise GridError(
                f"got codebook_size {codebook_size} and num_bands {num_bands}; "
                "expected both to be at least 1"
            )
        self.counts = np.zeros((num_bands, codebook_size), dtype=np.int64)

    def add(self, codes: np.ndarray) -> None:
        """Count one grid, int [bands, frames].

        Raises:
            GridError: if its shape or type does not fit or a code is not in the codebook.
        """
        num_bands, codebook_size = self.counts.shape
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.shape[0] != num_bands or codes.dtype.kind not in "iu":
            raise GridError(
                f"got codes of shape {codes.shape} and type {codes.dtype}; "
                f"expected integers [{num_bands}, frames]"
            )
        if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < codebook_size:
            raise GridError(
                f"got codes from {codes.min()} to {codes.max()}; expected 0 to {codebook_size - 1}"
            )
        for band, row in enumerate(codes):
            self.counts[band] += np.bincount(row, minlength=codebook_size)

    def usage(self) -> CodebookUsage:
        """Return the statistics of everything counted so far."""
        return CodebookUsage(
            codebook_size=self.counts.shape[1],
            overall=code_statistics(self.counts.sum(axis=0)),
            bands=tuple(code_statistics(row) for row in self.counts),
        )


def grid_usage(codes: np.ndarray, codebook_size: int) -> CodebookUsage:
    """Return the statistics of one grid, int [bands, frames], in memory that its size bounds.

    The same numbers as :class:`UsageCounter` gives, for any codebook size that a file may state.
    """

    def statistics(part: np.ndarray) -> CodeStatistics:
        return code_statistics(np.unique(part, return_counts=True)[1], codebook_size)

    return CodebookUsage(
        codebook_size=codebook_size, overall=statistics(codes), bands=tuple(map(statistics, codes))
    )


def code_statistics(counts: np.ndarray, codebook_size: int | None = None) -> CodeStatistics:
    """Turn counts into statistics; no tokens give zeros.

    Args:
        counts: int [codebook_size], or those of the codes that occur only.
        codebook_size: needed in the latter case.
    """
    total = int(counts.sum())
    used = int((counts > 0).sum())
    codebook_size = codebook_size or len(counts)
    if total == 0:
        return CodeStatistics(
            num_tokens=0,
            used_codes=0,
            used_share=0.0,
            entropy_bits=0.0,
            corrected_entropy_bits=0.0,
            top_share=0.0,
        )
    probability = counts[counts > 0] / total
    entropy = float(-(probability * np.log2(probability)).sum()) + 0.0
    correction = (used - 1) / (2 * total * math.log(2))
    top = np.sort(counts)[-math.ceil(codebook_size / 100) :]
    return CodeStatistics(
        num_tokens=total,
        used_codes=used,
        used_share=used / codebook_size,
        entropy_bits=entropy,
        corrected_entropy_bits=min(entropy + correction, math.log2(codebook_size)),
        top_share=float(top.sum() / total),
    )
