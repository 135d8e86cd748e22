"""Two channels from one: levels, coherence, reach."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.signal.mel import LogMel
from bandtok.stereo.pan import symbol_table
from bandtok.stereo.spread import FILTER_SAMPLES, OUTSIDE, Spread, decorrelation_filter

FRAME = 4096
INSIDE = slice(2 * FRAME, -2 * FRAME)


@pytest.fixture(scope="module")
def spread() -> Spread:
    return Spread(LogMel(), 16, 8)


def noise(frames: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, frames * FRAME).astype(np.float32)


def chord(frames: int) -> np.ndarray:
    time = np.arange(frames * FRAME) / 44_100
    tones = sum(0.1 * np.sin(2 * np.pi * f * time) for f in (220.0, 277.2, 329.6, 2500.0))
    return np.asarray(tones, np.float32)


@pytest.mark.parametrize("sound", [noise, chord])
@pytest.mark.parametrize("symbol", [0, 4, 6, 13, 22, 36, 43, 48, 52, 58])
def test_level_and_coherence_are_those_of_the_symbol(
    spread: Spread, sound: object, symbol: int
) -> None:
    mid = sound(16)  # type: ignore[operator]
    left, right = spread(mid, np.full((16, 16), symbol))[:, INSIDE].astype(float)
    table = symbol_table()
    level_db = 10 * np.log10(np.square(left).sum() / np.square(right).sum())
    coherence = (left * right).sum() / (np.linalg.norm(left) * np.linalg.norm(right))
    assert float(level_db) == pytest.approx(table.level_db[symbol], abs=0.5)
    assert float(coherence) == pytest.approx(table.coherence[symbol], abs=0.08)
    np.testing.assert_allclose((left + right) / 2, mid[INSIDE], rtol=1e-5, atol=1e-6)


def test_the_center_is_the_mid_to_the_bit_and_a_hard_side_leaves_the_other_empty(
    spread: Spread,
) -> None:
    mid = noise(6)
    both = spread(mid, np.zeros((16, 6), np.int64))
    assert np.array_equal(both, np.stack((mid, mid)))
    left, right = spread(mid, np.full((16, 6), 62))[:, INSIDE]
    np.testing.assert_allclose(left, 2 * mid[INSIDE], rtol=1e-5, atol=1e-6)
    assert np.abs(right).max() < 1e-6


def test_silence_stays_silent(spread: Spread) -> None:
    assert not spread(np.zeros(4 * FRAME, np.float32), np.full((16, 4), 4)).any()


def test_opposite_symbols_swap_levels(spread: Spread) -> None:
    mid = noise(8)
    first = spread(mid, np.full((16, 8), 38))[:, INSIDE]
    second = spread(mid, np.full((16, 8), 42))[:, INSIDE]
    np.testing.assert_allclose(
        np.square(first).sum(axis=1), np.square(second[::-1]).sum(axis=1), rtol=0.03
    )


def test_nothing_beyond_the_reach_matters(spread: Spread) -> None:
    mid, symbols = noise(9), np.random.default_rng(3).integers(0, 64, (16, 9))
    near = slice((4 - spread.reach) * FRAME, (5 + spread.reach) * FRAME)
    other_mid, other_symbols = np.zeros_like(mid), np.full_like(symbols, OUTSIDE)
    other_mid[near] = mid[near]
    columns = slice(4 - spread.reach, 5 + spread.reach)
    other_symbols[:, columns] = symbols[:, columns]
    middle = slice(4 * FRAME, 5 * FRAME)
    np.testing.assert_allclose(
        spread(mid, symbols)[:, middle],
        spread(other_mid, other_symbols)[:, middle],
        rtol=1e-4,
        atol=1e-6,
    )


def test_the_filter_is_flat_short_and_always_the_same() -> None:
    taps = decorrelation_filter()
    assert taps.shape == (FILTER_SAMPLES,)
    assert np.linalg.norm(taps) == pytest.approx(1, abs=1e-6)
    response_db = 20 * np.log10(np.abs(np.fft.rfft(taps, 1 << 14)) + 1e-9)
    assert np.mean(np.abs(response_db)) < 2
    np.testing.assert_array_equal(taps, decorrelation_filter())
