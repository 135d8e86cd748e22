"""Filters over frequencies most of whose weights are zero, applied in both directions.

    spectrum [..., bins]  <->  filters [..., filters]

No matrix product: a product by BLAS may round differently on another number of threads, and its
threads wait for one another on a busy processor.
"""

from __future__ import annotations

import numpy as np


class SparseFilters:
    """Sums over the bins of each filter, and over the filters of each bin.

    Args:
        weights: float32 [filters, bins].
    """

    def __init__(self, weights: np.ndarray) -> None:
        kept = weights != 0
        overlap = int(kept.sum(axis=0).max(initial=1))
        self._filters = np.argsort(kept, axis=0, kind="stable")[-overlap:]
        self._shares = np.take_along_axis(weights, self._filters, axis=0)
        kept[~kept.any(axis=1), 0] = True  # each filter has at least one entry
        rows, self._bins = np.nonzero(kept)
        self._weights = weights[rows, self._bins]
        self._first_weights = np.searchsorted(rows, np.arange(len(weights)))

    def sum_bins(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted sum over the bins of each filter: [n, bins] -> [n, filters]."""
        parts = np.take(values, self._bins, axis=1)
        parts *= self._weights
        return np.add.reduceat(parts, self._first_weights, axis=1)

    def sum_filters(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted sum over the filters of each bin: [n, filters] -> [n, bins]."""
        total = np.take(values, self._filters[0], axis=1) * self._shares[0]
        for index, share in zip(self._filters[1:], self._shares[1:], strict=True):
            total += np.take(values, index, axis=1) * share
        result: np.ndarray = total
        return result
