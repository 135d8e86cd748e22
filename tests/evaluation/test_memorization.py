"""Copies: planted runs are found at their place and full length, and nothing else is."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandtok.errors import ConfigError, DataError
from bandtok.evaluation.memorization import NOTHING_SHARED, as_sequence, longest_shared_runs

BANDS = 4


def random_codes(frames: int, seed: int, entries: int = 4096) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, entries, (BANDS, frames)).astype(np.uint16)


def longest_by_brute_force(clip: np.ndarray, pieces: list[np.ndarray]) -> int:
    mine, longest = as_sequence(clip), 0
    for piece in map(as_sequence, pieces):
        table = np.zeros(len(piece) + 1, int)
        for token in mine:
            table[1:] = np.where(piece == token, table[:-1] + 1, 0)
            longest = max(longest, table.max())
    return int(longest)


def test_a_planted_run_is_found_where_it_is() -> None:
    pieces = [random_codes(500, seed) for seed in range(3)]
    clip = random_codes(60, 9)
    clip[:, 10:31] = pieces[1][:, 200:221]
    run = longest_shared_runs([random_codes(60, 8), clip], pieces)[1]
    assert run.tokens == 21 * BANDS
    assert (run.clip_start, run.source, run.source_start) == (10 * BANDS, 1, 200 * BANDS)
    assert longest_shared_runs([random_codes(60, 8)], pieces) == [NOTHING_SHARED]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), entries=st.integers(1, 3), minimum=st.integers(1, 9))
def test_it_agrees_with_brute_force(seed: int, entries: int, minimum: int) -> None:
    clip = random_codes(9, seed, entries)
    pieces = [random_codes(20, seed + 1, entries), random_codes(11, seed + 2, entries)]
    expected = longest_by_brute_force(clip, pieces)
    found = longest_shared_runs([clip, clip[:, :0]], pieces, minimum)
    assert found[0].tokens == (expected if expected >= minimum else 0)
    assert found[1] == NOTHING_SHARED


def test_long_silence_on_both_sides_is_one_run() -> None:
    silence = np.full((BANDS, 300), 7, np.uint16)
    started = time.monotonic()
    run = longest_shared_runs([silence], [np.full((BANDS, 20_000), 7, np.uint16)])[0]
    assert run.tokens == 300 * BANDS
    assert time.monotonic() - started < 20


def test_what_is_no_grid_is_refused() -> None:
    with pytest.raises(DataError, match="integers"):
        longest_shared_runs([np.zeros((2, 2))], [])
    with pytest.raises(ConfigError, match="at least 1"):
        longest_shared_runs([], [], seed=0)
