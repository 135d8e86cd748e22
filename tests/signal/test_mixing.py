"""Offsets, polarity and down-mix: repaired and said where wrong, untouched where right."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.errors import AudioWarning
from bandtok.signal.audio import Audio, load_audio
from bandtok.signal.mixing import mixed, mixing_gains, repaired

RATE = 8_000


def music(seconds: float = 3.0, channels: int = 1, seed: int = 0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    tone = 0.2 * np.exp(-3 * (time % 0.5)) * np.sin(2 * np.pi * 330 * time)
    noise = np.random.default_rng(seed).normal(0, 0.02, (channels, len(time)))
    return (tone + noise).astype(np.float32)


def all_of(waveform: np.ndarray, cut: int = 3_000) -> np.ndarray:
    blocks = [waveform[:, a : a + cut] for a in range(0, waveform.shape[1], cut)]
    return np.concatenate(list(repaired(blocks, RATE, "it")), axis=1)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("offset", [0.0, 0.004])
def test_what_is_right_is_not_touched(channels: int, offset: float) -> None:
    waveform = music(channels=channels) + np.float32(offset)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(all_of(waveform), waveform)
        expected = waveform.mean(axis=0, keepdims=True)
        if channels < 3:
            np.testing.assert_array_equal(Audio(waveform, RATE).mono().waveform, expected)


@pytest.mark.parametrize("offset", [0.01, -0.2])
@pytest.mark.parametrize("seconds", [1.0, 12.0])
def test_a_constant_offset_goes(offset: float, seconds: float) -> None:
    waveform = music(seconds, channels=2)
    with pytest.warns(AudioWarning, match="constant offset"):
        found = all_of(waveform + np.float32([[offset], [0]]))
    np.testing.assert_allclose(found, waveform, atol=2e-3)
    np.testing.assert_array_equal(found[1], waveform[1])
    with pytest.warns(AudioWarning):
        again = all_of(waveform + np.float32([[offset], [0]]), cut=777)
    np.testing.assert_array_equal(again, found)


def test_a_step_or_a_slow_wave_is_no_offset() -> None:
    step = music(4.0)
    step[:, 2 * RATE :] += 0.1
    np.testing.assert_array_equal(all_of(step), step)
    short = np.full((1, RATE // 2), 0.1, np.float32)
    np.testing.assert_array_equal(all_of(short), short)


def test_a_channel_upside_down_is_inverted() -> None:
    waveform = music()
    both = np.concatenate([waveform, -waveform])
    with pytest.warns(AudioWarning, match="inverted right"):
        np.testing.assert_array_equal(Audio(both, RATE).mono().waveform, waveform)
    with pytest.warns(AudioWarning, match="inverted right"):
        np.testing.assert_array_equal(all_of(both), np.concatenate([waveform, waveform]))


def test_what_cancels_later_is_said() -> None:
    waveform = music(30.0)
    both = np.concatenate([waveform, -waveform])
    both[:, : 10 * RATE] = 0
    with pytest.warns(AudioWarning, match="cancel each other out entirely in mono"):
        Audio(both, RATE).mono()
    surround = np.concatenate([waveform, -waveform, 0 * waveform])
    with pytest.warns(AudioWarning, match="cancel"):
        Audio(surround, RATE).mono()


def test_surround_is_mixed_by_the_standard() -> None:
    """ITU-R BS.775: center and surrounds 3 dB down into both sides; no subwoofer."""
    np.testing.assert_allclose(mixing_gains(6), [0.5, 0.5, 0.7071, 0, 0.3536, 0.3536], atol=1e-4)
    vorbis = mixing_gains(6, vorbis_order=True)
    np.testing.assert_array_equal(vorbis[[0, 2, 1, 5, 3, 4]], mixing_gains(6))
    np.testing.assert_allclose(mixing_gains(12), 1 / 12)
    waveform = music(channels=6)
    cuts = [waveform[:, :5_000], waveform[:, 5_000:]]
    cut = np.concatenate(list(mixed(cuts, mixing_gains(6), "it")), axis=1)
    np.testing.assert_array_equal(cut, Audio(waveform, RATE).mono().waveform)


def test_a_file_is_mixed_as_an_array_is(tmp_path: Path) -> None:
    waveform = music(channels=2) + np.float32(0.05)
    soundfile.write(tmp_path / "a.wav", waveform.T, RATE, "FLOAT")
    with pytest.warns(AudioWarning, match=r"a\.wav: removed"):
        mono = load_audio(tmp_path / "a.wav", mono=True)
    with pytest.warns(AudioWarning, match="the waveform: removed"):
        np.testing.assert_array_equal(mono.waveform, Audio(waveform, RATE).mono().waveform)
    assert load_audio(tmp_path / "a.wav").waveform.mean() == pytest.approx(0.05, abs=1e-3)
