"""Decoded tracks and crops of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bandtok.data.manifest import Track
from bandtok.data.waveforms import Augmentation, CropSampler, SampleFile, WaveformStore, read_crop
from bandtok.errors import ConfigError, DataError


def track(path: str) -> Track:
    return Track(path=path, seconds=1.0, sample_rate=44_100, channels=1, bandwidth_hz=20_000.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "a.wav", rng.uniform(-0.5, 0.5, 44_100), 44_100)
    soundfile.write(tmp_path / "b.wav", rng.uniform(-0.5, 0.5, (22_050, 2)), 22_050)
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
    assert [len(s) for s in store.samples] == [44_100, pytest.approx(44_100, abs=2)]
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
    first = CropSampler(store, 4096, 3, Augmentation(gain_db=(-6.0, 0.0)), seed=1)
    again = CropSampler(store, 4096, 3, Augmentation(gain_db=(-6.0, 0.0)), seed=1)
    assert first.batch(5).shape == (3, 1, 4096)
    again.batch(4)
    assert np.array_equal(first.batch(5), again.batch(5))
    assert not np.array_equal(first.batch(5), first.batch(6))
    assert not np.array_equal(first.batch(5), CropSampler(store, 4096, 3, seed=2).batch(5))


def test_a_crop_is_silent_outside_its_track(tmp_path: Path) -> None:
    np.full(10, 16_384, np.int16).tofile(tmp_path / "a.i16")
    samples = SampleFile(tmp_path / "a.i16")
    assert read_crop(samples, -2, 5).tolist() == [0, 0, 0.5, 0.5, 0.5]
    assert read_crop(samples, 8, 5).tolist() == [0.5, 0.5, 0, 0, 0]
    assert read_crop(samples, 20, 2).tolist() == [0, 0]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the files that are open")
def test_no_file_stays_open(folder: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    store = WaveformStore([track("a.wav"), track("b.wav")], folder, folder / "cache", 44_100)
    CropSampler(store, 4096, 8).batch(0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_tracks_of_stems_and_of_no_samples(folder: Path) -> None:
    soundfile.write(folder / "empty.wav", np.zeros(0), 44_100)
    soundfile.write(folder / "half.wav", np.resize([0.25, -0.25], 44_100), 44_100, "FLOAT")
    both = dataclasses.replace(track("half.wav"), stems=["half.wav"])
    warnings: list[str] = []
    tracks = [both, track("empty.wav")]
    store = WaveformStore(tracks, folder, folder / "cache", 44_100, warn=warnings.append)
    np.testing.assert_allclose(store.samples[0].read(2, 4), [16_384, -16_384], atol=2)
    assert warnings == ["left out empty.wav: it holds no samples"]


def test_tracks_with_their_treble_cut_off_are_drawn_less(folder: Path) -> None:
    dull = dataclasses.replace(track("b.wav"), bandwidth_hz=11_025.0)
    full = dataclasses.replace(track("a.wav"), bandwidth_hz=22_050.0)
    store = WaveformStore([full, dull], folder, folder / "cache", 44_100)
    plain = CropSampler(store, 512, 1)
    sampled = CropSampler(store, 512, 1, Augmentation(bandwidth_power=2.0))
    ratio, weighted = (s._shares[1] / s._shares[0] for s in (plain, sampled))
    assert weighted == pytest.approx(ratio / 4)


def test_gain_clips_and_speed_moves_the_pitch(folder: Path) -> None:
    time = np.arange(44_100) / 44_100
    soundfile.write(folder / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * time), 44_100)
    store = WaveformStore([track("tone.wav")], folder, folder / "cache", 44_100)
    loud = CropSampler(store, 8192, 4, Augmentation(gain_db=(12.0, 12.0))).batch(0)
    assert np.abs(loud).max() == 1.0
    fast = CropSampler(store, 8192, 1, Augmentation(speed=(1.99, 2.0))).batch(3)[0, 0]
    middle = fast[2048:4096] * np.hanning(2048)
    peak_hz = np.abs(np.fft.rfft(middle)).argmax() * 44_100 / 2048
    assert peak_hz == pytest.approx(2000, abs=30)


def test_a_share_of_crops_is_synthetic(folder: Path) -> None:
    store = WaveformStore([track("a.wav")], folder, folder / "cache", 44_100)
    plain = CropSampler(store, 4096, 8, Augmentation(synthetic_share=0.0)).batch(1)
    every = CropSampler(store, 4096, 8, Augmentation(synthetic_share=1.0)).batch(1)
    assert plain.shape == every.shape == (8, 1, 4096)
    assert np.isfinite(every).all()
    assert not np.array_equal(plain, every)


@pytest.mark.parametrize(
    "wrong", [{"gain_db": (3.0, -3.0)}, {"speed": (0.0, 1.0)}, {"synthetic_share": 1.5}]
)
def test_impossible_augmentation_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Augmentation(**wrong)
