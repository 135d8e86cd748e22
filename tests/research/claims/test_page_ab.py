"""Listening comparison: equal lengths, matched loudness, measures of known cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import ConfigError, DataError, MissingDependency
from bandtok.pages import comparison as page_ab
from bandtok.pages.clips import ClipGroup
from bandtok.pages.comparison import (
    comparison_groups,
    matching_gains_db,
    reconstruction_measures,
)
from bandtok.signal.audio import Audio
from bandtok.signal.loudness import integrated_loudness

RATE = 44_100
LABELS = ["original", "Griffin-Lim", "old", "reconstruction"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_pretrained("debug", device="cpu")


def noise(seconds: float = 1.0, level: float = 0.1, channels: int = 1) -> Audio:
    samples = np.random.default_rng(0).standard_normal((channels, round(seconds * RATE)))
    return Audio((level * samples).astype(np.float32), RATE)


def compared(source: Path, tokenizer: Tokenizer, seconds: float = 0.5) -> ClipGroup:
    models = ({"old": tokenizer}, {"reconstruction": tokenizer})
    (group,) = comparison_groups([source], *models, files=1, seconds=seconds)
    return group


@pytest.mark.parametrize(("channels", "rate"), [(1, RATE), (8, 11_025)])
def test_versions_have_one_length_and_rate(
    tmp_path: Path, tokenizer: Tokenizer, channels: int, rate: int
) -> None:
    path = tmp_path / "a.wav"
    Audio(noise(2.0, channels=channels).waveform, rate).save(path)
    group = compared(path, tokenizer)
    assert group.switchable
    assert [clip.label for clip in group.clips] == LABELS
    sounds = [clip.audio for clip in group.clips if clip.audio]
    assert {(a.waveform.shape, a.sample_rate) for a in sounds} == {((1, 5 * 4096), RATE)}
    assert all("gain" in clip.note for clip in group.clips)
    assert group.clips[0].measures["mel distance"] == "0.00"
    assert group.clips[0].measures["flicker"] == group.clips[0].measures["onsets"] == "1.00"
    np.testing.assert_array_equal(sounds[2].waveform, sounds[3].waveform)
    assert not np.array_equal(sounds[1].waveform, sounds[3].waveform)


def test_silence_has_no_gain_and_undefined_measures(tmp_path: Path, tokenizer: Tokenizer) -> None:
    Audio(np.zeros((1, RATE), np.float32), RATE).save(tmp_path / "a.wav")
    original = compared(tmp_path, tokenizer).clips[0]
    assert original.measures["flicker"] == original.measures["onsets"] == "–"
    assert original.audio
    assert not original.audio.waveform.any()


def test_gains_match_loudness_below_full_scale() -> None:
    versions = [noise(level=0.1), noise(level=0.05), noise(level=0.2)]
    gains = matching_gains_db(versions)
    assert gains[1] - gains[0] == pytest.approx(20 * np.log10(2), abs=0.01)
    matched = [v.waveform * 10 ** (g / 20) for v, g in zip(versions, gains, strict=True)]
    loudness = [integrated_loudness(waveform, RATE) for waveform in matched]
    assert np.ptp(loudness) < 0.01
    loud = matching_gains_db([noise(level=0.5), noise(level=0.1)])
    peak = np.abs(noise(level=0.5).waveform).max() * 10 ** (loud[0] / 20)
    assert 20 * np.log10(peak) == pytest.approx(-1.0, abs=0.01)
    silence = Audio(np.zeros((1, RATE), np.float32), RATE)
    assert matching_gains_db([silence, noise()]) == [0.0, 0.0]
    assert matching_gains_db([noise(level=0.1), noise(level=1e-3)])[1] == page_ab.MAX_GAIN_DB


def test_pitch_and_onsets_are_left_out_without_librosa(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise MissingDependency("no librosa")

    noise().save(tmp_path / "a.wav")
    monkeypatch.setattr(page_ab, "pitch_onset_features", missing)
    names = list(compared(tmp_path, tokenizer).clips[1].measures)
    assert names == ["mel distance", "flicker", "grain"]


def test_measures_see_a_blurred_version(tokenizer: Tokenizer) -> None:
    sharp = noise()
    blurred = Audio(np.cumsum(sharp.waveform, axis=1) * np.float32(0.01), RATE)
    measures = reconstruction_measures(sharp, blurred, None, tokenizer.config.mel)
    assert float(measures["mel distance"]) > 1
    assert set(measures) == {"mel distance", "flicker", "grain"}


def test_what_cannot_be_used_is_named(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "a.wav").write_bytes(b"no sound")
    (broken,) = compared(tmp_path, tokenizer).clips
    assert broken.audio is None
    assert "'a.wav'" in broken.missing
    with pytest.raises(DataError, match="does not exist"):
        compared(tmp_path / "none", tokenizer)
    with pytest.raises(ConfigError, match="distinct labels"):
        comparison_groups(
            [tmp_path], {"original": tokenizer}, {"x": tokenizer}, files=1, seconds=1.0
        )
