"""Ends of long clips beside their beginnings, on sounds whose drift is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandtok.api.tokenizer import Tokenizer
from bandtok.evaluation.long_clips import before_limiter, clip_drift, set_drift
from bandtok.signal.audio import Audio

RATE = 22_050
SECONDS = 30


def embed(audio: Audio) -> np.ndarray:
    """Mean size of the samples and of their changes."""
    samples = audio.waveform[0]
    return np.array([[np.abs(samples).mean(), np.abs(np.diff(samples)).mean()]])


def clicks(bpm: float, seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    return 0.1 * noise * np.exp(-30 * (time % (60 / bpm)))


def tone(hertz: float, seconds: float) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def sound(*parts: np.ndarray) -> Audio:
    return Audio(np.concatenate(parts)[None].astype(np.float32), RATE)


def test_level() -> None:
    half = tone(440, SECONDS / 2)
    drift = clip_drift(sound(half, 2 * half), embed)
    assert drift is not None
    assert drift.level_db == pytest.approx(6.02, abs=0.01)
    assert drift.clipped_share == 0
    still = clip_drift(sound(half, half), embed)
    assert still is not None
    assert still.level_db == pytest.approx(0, abs=0.01)
    assert still.similarity == pytest.approx(1)


def test_spectral_centroid_and_similarity() -> None:
    drift = clip_drift(sound(tone(500, 15), tone(2000, 15)), embed)
    assert drift is not None
    assert drift.centroid_octaves == pytest.approx(2, abs=0.1)
    assert drift.similarity < 0.95


@pytest.mark.parametrize(("later", "expected"), [(120.0, 0.0), (60.0, 0.0), (132.0, 0.1)])
def test_tempo(later: float, expected: float) -> None:
    drift = clip_drift(sound(clicks(120, 15), clicks(later, 15)), embed)
    assert drift is not None
    assert drift.tempo == pytest.approx(expected, abs=0.015)


def test_no_pulse_has_no_tempo() -> None:
    drift = clip_drift(sound(tone(440, SECONDS)), embed)
    assert drift is not None
    assert drift.tempo is None


def test_clipped_samples() -> None:
    samples = tone(440, SECONDS)
    samples[:66] = 1.0
    drift = clip_drift(sound(samples), embed)
    assert drift is not None
    assert drift.clipped_share == pytest.approx(66 / len(samples), rel=1e-3)


def test_silence_at_the_end_is_finite() -> None:
    drift = clip_drift(sound(tone(440, 15), np.zeros(15 * RATE)), embed)
    assert drift is not None
    assert -200 < drift.level_db < -100
    assert np.isfinite(drift.centroid_octaves)


def test_a_short_clip_has_no_end() -> None:
    assert clip_drift(sound(tone(440, 19)), embed) is None
    assert set_drift([None]) is None


def test_sets_count_what_is_within_bounds() -> None:
    half = clicks(120, 15)
    drifts = [clip_drift(sound(half, gain * half), embed) for gain in (1.0, 1.2, 1.3, 2.0)]
    found = set_drift([*drifts, None])
    assert found is not None
    assert (found.clips, found.pulses, found.clipped) == (4, 4, 0)
    assert found.level_kept == 0.75
    assert found.tempo_kept == 1.0


def test_tokens_beside_a_clip_say_what_was_clipped(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_pretrained("debug", device="cpu")
    drift = clip_drift(sound(tone(440, SECONDS)), embed)
    assert before_limiter(drift, tmp_path / "a.wav", tokenizer) == drift
    grid = tokenizer.encode(sound(tone(440, 1)))
    grid.save(tmp_path / "a.btk")
    loud = tokenizer.decode(grid).waveform
    found = before_limiter(drift, tmp_path / "a.wav", tokenizer)
    assert found is not None
    assert found.clipped_share == (np.abs(loud) >= 1).mean()
