"""Taggers: windows, rates, lengths, errors; and, with the weights installed, what they hear."""

from __future__ import annotations

import importlib.util
from functools import partial

import librosa
import numpy as np
import pytest
import torch

from bandtok.errors import AudioError, ConfigError, MissingDependency
from bandtok.tagger import MSD_LABELS, MTT_LABELS, Tagger, load_tagger
from bandtok.tagger.network import MusicnnNetwork
from bandtok.tagger.tagger import _log_mel

RATE = 16_000
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("musicnn") is None,
    reason="musicnn is not installed: pip install --no-deps musicnn",
)


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """A tagger of random weights."""
    torch.manual_seed(0)
    return Tagger(MusicnnNetwork(50), MTT_LABELS)


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    values = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate))
    return values.astype(np.float32)


def test_labels_are_fifty_different_ones() -> None:
    assert len(MTT_LABELS) == len(set(MTT_LABELS)) == 50
    assert len(MSD_LABELS) == len(set(MSD_LABELS)) == 50


def test_windows_lie_side_by_side_and_a_rest_is_left_out(tagger: Tagger) -> None:
    sound = noise(7.0)
    windows = tagger.predict(sound, RATE)
    assert (windows.tags.shape, windows.embeddings.shape) == ((2, 50), (2, 200))
    assert windows.tags.dtype == windows.embeddings.dtype == np.float32
    assert windows.tags.min() >= 0
    assert windows.tags.max() <= 1
    np.testing.assert_array_equal(tagger.tag(sound, RATE), windows.tags)
    np.testing.assert_array_equal(tagger.embed(torch.from_numpy(sound), RATE), windows.embeddings)


def test_a_smaller_hop_holds_the_windows_of_a_larger_one(tagger: Tagger) -> None:
    sound = noise(5.0)
    every = tagger.embed(sound, RATE, hop_seconds=0.8)
    second = tagger.embed(sound, RATE, hop_seconds=1.6)
    assert len(every) == 3
    np.testing.assert_allclose(every[::2], second, rtol=1e-4, atol=1e-5)


def test_a_short_sound_is_repeated(tagger: Tagger) -> None:
    assert tagger.tag(noise(0.1), RATE).shape == (1, 50)
    assert tagger.tag(noise(0.0001), RATE).shape == (1, 50)


def test_another_rate_is_the_same_sound(tagger: Tagger) -> None:
    time = np.arange(44_100 * 3 + 9_000) / 44_100
    high = np.sin(2 * np.pi * 440 * time).astype(np.float32)
    low = np.sin(2 * np.pi * 440 * np.arange(int(len(time) * 16_000 / 44_100)) / 16_000)
    difference = tagger.tag(high, 44_100) - tagger.tag(low.astype(np.float32), RATE)
    assert np.abs(difference).max() < 1e-3


def test_the_mel_is_that_of_librosa() -> None:
    sound = noise(1.0)
    power = librosa.feature.melspectrogram(y=sound, sr=RATE, n_fft=512, hop_length=256, n_mels=96)
    np.testing.assert_allclose(_log_mel(sound), np.log10(10_000 * power.T + 1), atol=1e-4)


def test_what_is_no_mono_sound_is_refused(tagger: Tagger) -> None:
    for wrong in (np.zeros((1, 9), np.float32), np.zeros(0, np.float32), np.array(["a"])):
        with pytest.raises(AudioError, match="mono"):
            tagger.tag(wrong, RATE)
    with pytest.raises(AudioError, match="NaN"):
        tagger.tag(np.full(9, np.nan, np.float32), RATE)
    with pytest.raises(ConfigError, match=r"0\.016 s"):
        tagger.tag(noise(4.0), RATE, hop_seconds=0.001)


def test_an_unknown_tagger_is_refused() -> None:
    with pytest.raises(ConfigError, match="mtt, msd"):
        load_tagger("fma")  # type: ignore[arg-type]


def test_missing_weights_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install --no-deps musicnn$"):
        load_tagger("mtt")


@needs_weights
@pytest.mark.parametrize(("name", "labels"), [("mtt", MTT_LABELS), ("msd", MSD_LABELS)])
def test_the_real_weights_load(name: str, labels: tuple[str, ...]) -> None:
    tagger = load_tagger(name)  # type: ignore[arg-type]
    assert tagger.labels == labels
    assert np.isfinite(tagger.embed(noise(3.1), RATE)).all()


@needs_weights
def test_the_real_weights_tell_a_beat_from_a_held_chord() -> None:
    tagger = load_tagger("mtt")
    time = np.arange(6 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277.2, 329.6))
    chord = 0.05 * chord * np.minimum(1, time)
    burst = np.exp(-40 * (time % 0.25)) * np.random.default_rng(0).standard_normal(len(time))
    kick = np.exp(-12 * (time % 0.5)) * np.sin(2 * np.pi * 60 * time)
    tag = partial(tagger.tag, sample_rate=RATE)
    calm = tag(chord.astype(np.float32)).mean(axis=0)
    beat = tag((0.3 * burst + 0.6 * kick).astype(np.float32)).mean(axis=0)
    for word in ("drums", "beat"):
        assert beat[MTT_LABELS.index(word)] > 3 * calm[MTT_LABELS.index(word)]
    for word in ("slow", "ambient"):
        assert calm[MTT_LABELS.index(word)] > 2 * beat[MTT_LABELS.index(word)]
