"""Decoded tracks and crops of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.data.manifest import Track
from bandtok.data.waveforms import CropSampler, WaveformStore, read_crop
from bandtok.errors import DataError


def track(path: str) -> Track:
    return Track(path=path, seconds=1.0, sample_rate=44_100, channels=1, bandwidth_hz=20_000.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    soundfile.write(tmp_path / "a.wav", draw.uniform(-0.5, 0.5, 44_100), 44_100)
    soundfile.write(tmp_path / "b.wav", draw.uniform(-0.5, 0.5, (22_050, 2)), 22_050)
    (tmp_path / "broken.wav").write_text("not audio")
    return tmp_path


def test_tracks_are_decoded_once_and_broken_ones_left_out(folder: Path) -> None:
    warnings: list[str] = []
    seen: list[tuple[int, int]] = []
    tracks = [track("a.wav"), track("broken.wav"), track("b.wav"), track("gone.wav")]
    store = WaveformStore(
        tracks,
        folder,
        folder / "cache",
        44_100,
        progress=lambda done, total: seen.append((done, total)),
        warn=warnings.append,
    )
    assert [t.path for t in store.tracks] == ["a.wav", "b.wav"]
    assert [len(a) for a in store.arrays] == [44_100, pytest.approx(44_100, abs=2)]
    assert [line.split(":")[0] for line in warnings] == ["left out broken.wav", "left out gone.wav"]
    assert seen[-1][1] == 4
    before = {p: p.stat().st_mtime_ns for p in (folder / "cache").iterdir()}
    WaveformStore(tracks, folder, folder / "cache", 44_100)
    assert {p: p.stat().st_mtime_ns for p in (folder / "cache").iterdir()} == before


def test_nothing_readable_is_an_error(folder: Path) -> None:
    with pytest.raises(DataError, match="none of them readable"):
        WaveformStore([track("broken.wav")], folder, folder / "cache", 44_100)


def test_crops_depend_on_seed_and_step_alone(folder: Path) -> None:
    store = WaveformStore([track("a.wav"), track("b.wav")], folder, folder / "cache", 44_100)
    first = CropSampler(store, 4096, 3, gain_db=(-6.0, 0.0), seed=1)
    again = CropSampler(store, 4096, 3, gain_db=(-6.0, 0.0), seed=1)
    assert first.batch(5).shape == (3, 1, 4096)
    again.batch(4)
    assert np.array_equal(first.batch(5), again.batch(5))
    assert not np.array_equal(first.batch(5), first.batch(6))
    assert not np.array_equal(first.batch(5), CropSampler(store, 4096, 3, seed=2).batch(5))


def test_a_crop_is_silent_outside_its_track() -> None:
    array = np.full(10, 16_384, np.int16)
    assert read_crop(array, -2, 5).tolist() == [0, 0, 0.5, 0.5, 0.5]
    assert read_crop(array, 8, 5).tolist() == [0.5, 0.5, 0, 0, 0]
    assert read_crop(array, 20, 2).tolist() == [0, 0]
