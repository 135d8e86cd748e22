"""Sparse filters against the matrix products that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.signal.mel import MelConfig, mel_filterbank
from bandtok.signal.sparse_filters import SparseFilters


@pytest.mark.parametrize("n_mels", [128, 600], ids=["mel", "filters narrower than a bin"])
def test_both_directions_are_matrix_products(n_mels: int) -> None:
    weights = mel_filterbank(MelConfig(n_mels=n_mels))
    rng, filters = np.random.default_rng(0), SparseFilters(weights)
    spectrum, values = rng.random((5, 1025), np.float32), rng.random((5, n_mels), np.float32)
    np.testing.assert_allclose(filters.sum_bins(spectrum), spectrum @ weights.T, rtol=1e-4)
    np.testing.assert_allclose(filters.sum_filters(values), values @ weights, rtol=1e-4, atol=1e-9)


def test_any_number_of_filters_may_share_a_bin() -> None:
    weights = np.arange(12, dtype=np.float32).reshape(3, 4) - 5
    filters = SparseFilters(weights)
    assert filters.sum_bins(np.eye(4, dtype=np.float32)).tolist() == weights.T.tolist()
    assert filters.sum_filters(np.eye(3, dtype=np.float32)).tolist() == weights.tolist()
    assert not SparseFilters(np.zeros((2, 3), np.float32)).sum_bins(np.ones((1, 3))).any()
