"""Synthetic sounds for training crops."""

from __future__ import annotations

import numpy as np

from bandtok.data.synthetic import synthetic_crop


def test_sounds_are_finite_in_range_and_never_silent() -> None:
    for seed in range(60):
        sound = synthetic_crop(np.random.default_rng(seed), 8192, 44_100)
        assert sound.shape == (8192,)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert 0.009 < np.abs(sound).max() <= 1.0


def test_the_same_draw_gives_the_same_sound_and_another_another() -> None:
    first, again, other = (
        synthetic_crop(np.random.default_rng(n), 4096, 44_100) for n in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_many_sounds_are_narrow_and_some_are_wide() -> None:
    """Share of the power in the loudest percent of the spectrum: bare tones against noise."""
    shares = []
    for seed in range(60):
        sound = synthetic_crop(np.random.default_rng(seed), 8192, 44_100)
        power = np.abs(np.fft.rfft(sound)) ** 2
        loudest = np.sort(power)[-len(power) // 100 :]
        shares.append(loudest.sum() / power.sum())
    assert sum(share > 0.9 for share in shares) > 10
    assert sum(share < 0.5 for share in shares) > 5
