"""Symbols of the relation of two channels: what they mean, how they are measured and packed."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import GridError
from bandtok.signal.mel import LogMel
from bandtok.stereo.pan import (
    CENTER,
    NUM_SYMBOLS,
    PanAnalysis,
    PanPacking,
    band_weights,
    quantize,
    symbol_table,
)

LEFT_ONLY, RIGHT_ONLY = 62, 63


@pytest.mark.parametrize(
    ("codebook_size", "rows"),
    [(64, 16), (100, 16), (4095, 16), (4096, 8), (65_536, 8), (1 << 18, 6), (1 << 24, 4)],
)
def test_packing_and_back(codebook_size: int, rows: int) -> None:
    symbols = np.random.default_rng(0).integers(0, 64, (16, 40))
    packing = PanPacking(16, codebook_size)
    tokens = packing.pack(symbols)
    assert tokens.shape == (rows, 40)
    assert packing.num_rows == rows
    assert 0 <= int(tokens.min()) <= int(tokens.max()) < codebook_size
    assert np.array_equal(packing.unpack(tokens), symbols)


def test_packing_by_hand() -> None:
    packing = PanPacking(3, 4096)
    assert packing.pack(np.array([[1], [2], [3]])).tolist() == [[1 + 2 * 64], [3]]


def test_a_small_codebook_and_a_wrong_token_are_refused() -> None:
    with pytest.raises(GridError, match="at least 64"):
        PanPacking(16, 63)
    with pytest.raises(GridError, match="0 to 4095"):
        PanPacking(2, 5000).unpack(np.array([[4096]]))


def test_the_table_is_symmetric_and_whole() -> None:
    table = symbol_table()
    pairs = set(zip(table.level_db.tolist(), table.coherence.tolist(), strict=True))
    assert len(pairs) == NUM_SYMBOLS
    assert pairs == {(-level, coherence) for level, coherence in pairs}
    assert (table.level_db[CENTER], table.coherence[CENTER]) == (0, 1)
    assert (table.side_of_mid[CENTER], table.side_apart[CENTER]) == (0, 0)
    assert table.level_db[[LEFT_ONLY, RIGHT_ONLY]].tolist() == [np.inf, -np.inf]
    np.testing.assert_allclose(table.side_of_mid[[LEFT_ONLY, RIGHT_ONLY]], [1, -1])


def test_the_side_of_a_symbol_gives_its_level_and_coherence() -> None:
    table = symbol_table()
    along, apart = table.side_of_mid.astype(float), table.side_apart.astype(float)
    left, right = (1 + along) ** 2 + apart**2, (1 - along) ** 2 + apart**2
    shared = (1 + along) * (1 - along) - apart**2
    finite = np.isfinite(table.level_db)
    level_db = 10 * np.log10(left[finite] / right[finite])
    np.testing.assert_allclose(level_db, table.level_db[finite], atol=1e-4)
    coherence = shared[finite] / np.sqrt(left * right)[finite]
    np.testing.assert_allclose(coherence, table.coherence[finite], atol=1e-5)


def test_every_symbol_is_its_own_nearest() -> None:
    table = symbol_table()
    right = np.ones(NUM_SYMBOLS)
    left = (10 ** (table.level_db.astype(float) / 10)).clip(1e-9, 1e9)
    shared = table.coherence.astype(float) * np.sqrt(left * right)
    assert np.array_equal(quantize(left, right, shared), np.arange(NUM_SYMBOLS))


def test_cancelling_channels_count_as_unrelated_and_silence_as_center() -> None:
    one, none = np.ones(1), np.zeros(1)
    assert symbol_table().coherence[quantize(one, one, -one)] == 0
    assert quantize(none, none, none) == CENTER


def test_weights_share_every_frequency_out() -> None:
    weights = band_weights(LogMel(), 16)
    assert weights.shape == (16, 1025)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(0), np.ones(1025), rtol=1e-5)
    assert weights[0, 0] == weights[15, -1] == 1


def test_swapped_channels_have_the_opposite_level() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((2, 768 + 5 * 4096 + 768)).astype(np.float32)
    right = 0.4 * right + 0.4 * left
    analysis = PanAnalysis(LogMel(), 16, 8)
    symbols = analysis(np.stack((left + right, left - right)) / 2)
    swapped = analysis(np.stack((right + left, right - left)) / 2)
    table = symbol_table()
    assert symbols.shape == (16, 5)
    assert (table.level_db[symbols] > 0).all()
    np.testing.assert_array_equal(table.level_db[symbols], -table.level_db[swapped])
    np.testing.assert_array_equal(table.coherence[symbols], table.coherence[swapped])
