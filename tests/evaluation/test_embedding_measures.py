"""Embedding distances: zero for equal directions, sets by system, embedders that are missing."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from bandtok.errors import ConfigError, DataError, MissingDependency
from bandtok.evaluation import embedding_measures
from bandtok.evaluation.embedding_measures import (
    ORIGINAL,
    ClipEmbeddings,
    check_embedder_names,
    frechet_by_system,
    load_embedders,
    mean_cosine_distance,
    mmd_by_system,
)


def clips(windows: int, count: int = 4) -> list[ClipEmbeddings]:
    rng = np.random.default_rng(0)
    found = []
    for track in range(count):
        original = rng.standard_normal((windows, 6))
        by_system = {
            ORIGINAL: {"musicnn": original},
            "same": {"musicnn": original},
            "other": {"musicnn": original + 1.0},
        }
        found.append(ClipEmbeddings(track=f"{track}", by_system=by_system))
    return found


def test_cosine_distance_of_known_vectors() -> None:
    first = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    assert mean_cosine_distance(first, 5 * first) == pytest.approx(0.0)
    second = np.array([[0.0, 1.0], [0.0, -1.0], [1.0, 0.0]])
    assert mean_cosine_distance(first, second) == pytest.approx((1 + 2 + 0) / 3)


def test_zero_vectors_are_skipped() -> None:
    first = np.array([[0.0, 0.0], [0.0, 2.0]])
    assert mean_cosine_distance(first, np.ones((2, 2))) == pytest.approx(1 - 0.5**0.5)
    assert mean_cosine_distance(first[:1], np.ones((1, 2))) is None
    with pytest.raises(DataError, match="same shape"):
        mean_cosine_distance(first, first[:1])


def test_sets_are_compared_by_system() -> None:
    found, notes = mmd_by_system(clips(15))
    assert not notes
    assert set(found) == {"same", "other"}
    assert found["same"]["mmd"].mean == pytest.approx(0.0, abs=1e-9)
    assert found["other"]["mmd"].low > 1.0
    assert found["other"]["mmd"].count == 60
    frechet, notes = frechet_by_system(clips(15))
    assert not notes
    assert frechet["same"].distance == pytest.approx(0.0, abs=1e-6)
    assert frechet["other"].distance == pytest.approx(6.0)
    assert frechet["other"].count == 60


def test_too_few_windows_are_noted() -> None:
    found, notes = mmd_by_system(clips(1, count=1))
    assert not found
    assert "1 window" in notes[0]
    distances, notes = frechet_by_system(clips(2))
    assert not distances
    assert "got 8 windows" in notes[0]
    assert mmd_by_system([]) == ({}, [])


def test_a_missing_embedder_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    class Known:
        embedding_dim = 2

    def load(name: str, device: str) -> Known:
        if name == "aisfx":
            raise MissingDependency("install aisfx")
        return Known()

    monkeypatch.setattr(embedding_measures, "load_embedder", load)
    found, missing = load_embedders(["musicnn", "aisfx"])
    assert list(found) == ["musicnn"]
    assert missing == ["measures of aisfx embeddings: install aisfx"]


def test_unknown_embedders_are_refused() -> None:
    check_embedder_names(["musicnn", "aisfx"])
    with pytest.raises(ConfigError, match=r"'clap'.*musicnn, aisfx"):
        check_embedder_names(["clap"])


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("musicnn", "aisfx")),
    reason="musicnn and aisfx are not installed: pip install --no-deps musicnn aisfx",
)
def test_real_embedders_tell_music_like_sound_from_noise() -> None:
    embedders, missing = load_embedders(["musicnn", "aisfx"])
    assert not missing
    time = np.arange(3 * 44_100) / 44_100
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (220, 277, 330))
    sound = (0.1 * chord * np.exp(-2 * (time % 0.5))).astype(np.float32)
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(sound)).astype(np.float32)
    for embedder in embedders.values():
        original, near, far = (
            embedder.embed(waveform, 44_100) for waveform in (sound, sound + 0.001 * noise, noise)
        )
        assert mean_cosine_distance(original, original) == pytest.approx(0.0, abs=1e-9)
        distances = [mean_cosine_distance(original, other) for other in (near, far)]
        assert None not in distances
        assert distances[0] < 0.5 * distances[1]  # type: ignore[operator]
