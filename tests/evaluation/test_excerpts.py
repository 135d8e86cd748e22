"""Excerpts lie where they should and hold the samples of that place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandtok.data.manifest import Track
from bandtok.errors import AudioError, ConfigError
from bandtok.evaluation.excerpts import choose_excerpts, load_excerpt, load_track, spread
from bandtok.signal.audio import Audio, load_audio

RATE = 44_100


def track(path: str = "a.wav", seconds: float = 40.0, stems: tuple[str, ...] = ()) -> Track:
    return Track(
        path=path,
        seconds=seconds,
        sample_rate=RATE,
        channels=1,
        bandwidth_hz=20_000.0,
        stems=list(stems),
    )


def written(path: Path, seconds: float, seed: int = 0, channels: int = 1, rate: int = RATE) -> Path:
    noise = np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))
    Audio((0.1 * noise).astype(np.float32), rate).save(path)
    return path


def test_positions_are_even_and_inside() -> None:
    one = choose_excerpts([track()], 10.0)
    assert [excerpt.start_seconds for excerpt in one] == [15.0]
    three = choose_excerpts([track()], 10.0, per_track=3)
    assert [excerpt.start_seconds for excerpt in three] == [5.0, 15.0, 25.0]


def test_a_short_track_is_taken_whole_and_once() -> None:
    (only,) = choose_excerpts([track(seconds=4.0)], 10.0, per_track=3)
    assert (only.start_seconds, only.seconds) == (0.0, 4.0)


def test_wrong_wishes_are_refused() -> None:
    with pytest.raises(ConfigError):
        choose_excerpts([track()], 0.0)
    with pytest.raises(ConfigError):
        choose_excerpts([track()], 1.0, per_track=0)


def test_spread_covers_the_list() -> None:
    excerpts = choose_excerpts([track()] * 10, 10.0)
    assert spread(excerpts, 2) == [2, 7]
    assert spread(excerpts, 0) == []
    assert spread(excerpts, 99) == list(range(10))


def test_an_excerpt_holds_the_samples_of_its_place(tmp_path: Path) -> None:
    whole = load_audio(written(tmp_path / "a.wav", 1.0, channels=2), mono=True).waveform
    (excerpt,) = choose_excerpts([track(seconds=1.0)], 0.5)
    audio = load_excerpt(excerpt, tmp_path, RATE)
    assert np.array_equal(audio.waveform, whole[:, RATE // 4 : RATE // 4 + RATE // 2])


def test_an_excerpt_is_resampled(tmp_path: Path) -> None:
    written(tmp_path / "a.wav", 1.0, rate=22_050)
    (excerpt,) = choose_excerpts([track(seconds=1.0)], 0.5)
    assert load_excerpt(excerpt, tmp_path, RATE).waveform.shape == (1, RATE // 2)


def test_stems_are_summed_even_when_one_is_shorter(tmp_path: Path) -> None:
    first = load_audio(written(tmp_path / "a.wav", 1.0, seed=1)).waveform[0]
    second = load_audio(written(tmp_path / "b.wav", 0.5, seed=2)).waveform[0]
    expected = first.copy()
    expected[: len(second)] += second
    mixed = load_track(track(seconds=1.0, stems=("b.wav",)), tmp_path, RATE)
    assert np.allclose(mixed.waveform[0], expected, atol=1e-6)


def test_a_track_shorter_than_its_manifest_says_is_an_error(tmp_path: Path) -> None:
    written(tmp_path / "a.wav", 0.5)
    (excerpt,) = choose_excerpts([track(seconds=40.0)], 1.0)
    with pytest.raises(AudioError):
        load_excerpt(excerpt, tmp_path, RATE)
