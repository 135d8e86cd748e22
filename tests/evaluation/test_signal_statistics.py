"""SignalStatistics: silence, a held tone, noise and clicks are what they are."""

from __future__ import annotations

import numpy as np
import pytest

from bandtok.errors import AudioError
from bandtok.evaluation.signal_statistics import measure_signal
from bandtok.signal.audio import Audio

RATE = 44_100
TIME = np.arange(4 * RATE) / RATE


def sound(values: np.ndarray) -> Audio:
    return Audio(values.astype(np.float32)[None], RATE)


def test_silence_is_silent_and_frozen() -> None:
    facts = measure_signal(sound(0 * TIME))
    assert facts.is_silent
    assert facts.is_frozen
    assert (facts.level_dbfs, facts.onsets_per_second) == (-200, 0)


@pytest.mark.parametrize("steps", [32_768, 1 << 24])
def test_a_held_tone_is_frozen_and_heard(steps: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * TIME)
    facts = measure_signal(
        sound(np.round(tone * steps) / steps)
    )  # the noise of 16 bits is no music
    assert not facts.is_silent
    assert facts.is_frozen
    assert facts.level_dbfs == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert facts.novelty < 0.1


def test_clicks_are_counted() -> None:
    noise = np.random.default_rng(0).standard_normal(len(TIME))
    facts = measure_signal(sound(0.3 * noise * np.exp(-30 * ((TIME + 0.1) % 0.5))))
    assert facts.onsets_per_second == pytest.approx(2, abs=0.5)
    assert not facts.is_frozen


def test_a_sound_of_two_halves_is_newer_than_one_of_a_kind() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(TIME))
    changed = np.where(TIME < 2, noise, 0.01 * noise)
    assert measure_signal(sound(changed)).novelty > 3 * measure_signal(sound(noise)).novelty


def test_a_silent_half_is_half_silent() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(TIME))
    assert measure_signal(sound(noise * (TIME < 2))).silent_share == pytest.approx(0.5)


def test_a_moment_is_refused() -> None:
    with pytest.raises(AudioError, match="half a second"):
        measure_signal(sound(TIME[:100]))


def rhythm() -> np.ndarray:
    """Notes of random pitch that start at once and die away."""
    generator = np.random.default_rng(0)
    hertz = np.repeat(generator.uniform(100, 2_000, 8), len(TIME) // 8)
    return 0.3 * np.sin(2 * np.pi * hertz * TIME) * np.exp(-5 * (TIME % 0.5))


def test_sounds_that_die_away_are_told_from_the_same_backwards() -> None:
    noise = np.random.default_rng(0).standard_normal(len(TIME))
    hits = 0.2 * noise * np.exp(-8 * (TIME % 0.5))
    forwards, backwards = measure_signal(sound(hits)), measure_signal(sound(hits[::-1]))
    assert forwards.attack > 0.5
    assert backwards.attack < -0.5
    assert backwards.continuity == pytest.approx(forwards.continuity, abs=0.05)


def test_shuffled_moments_have_no_continuity() -> None:
    music = rhythm()
    size = 4096
    moments = music[: len(music) // size * size].reshape(-1, size)
    shuffled = np.random.default_rng(1).permutation(moments).ravel()
    assert measure_signal(sound(music)).continuity > 0.4
    assert measure_signal(sound(shuffled)).continuity == pytest.approx(0, abs=0.15)
    assert measure_signal(sound(0 * TIME)).continuity == 1
