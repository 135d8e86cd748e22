"""What is features: measured on signals whose truth is known; described once, in words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.data.audio_features import FEATURES_SAMPLE_RATE, AudioFeatures, extract_features
from bandtok.data.describe import (
    describe_blocks,
    describe_corpus,
    segment_words,
    tempo_bpm,
)
from bandtok.data.segments import (
    Segment,
    load_attributes,
    save_attributes,
    segment_content,
    segment_from,
    transposed_key,
)
from bandtok.errors import DataError

RATE = FEATURES_SAMPLE_RATE
FEATURES = AudioFeatures(
    bpm=90.0,
    pulse=0.6,
    beat_seconds=0.25,
    onsets_per_second=5.5,
    tonic=9,
    minor=True,
    key_clearness=0.2,
    loudness_db=-20.0,
    high_share_db=-5.0,
    strokes=1.5,
    strike=3.0,
)


class ConstantTagger:
    """Hears the same in everything."""

    labels = ("rock", "sad", "00s", "jazz")

    def tag(self, waveform: np.ndarray, sample_rate: int, hop_seconds: float, /) -> np.ndarray:
        return np.array([[0.4, 0.2, 0.9, 0.01], [0.5, 0.2, 0.9, 0.01]], np.float32)


def clicks(bpm: float, seconds: float = 12.0) -> np.ndarray:
    """Return noise bursts on every beat."""
    rng = np.random.default_rng(0)
    waveform = np.zeros(round(seconds * RATE), np.float32)
    burst = rng.normal(size=1500) * np.exp(-np.arange(1500) / 300)
    for start in np.arange(0.0, seconds - 0.1, 60.0 / bpm):
        first = round(start * RATE)
        waveform[first : first + 1500] += 0.3 * burst
    return waveform


def chord(pitches: tuple[int, ...], seconds: float = 4.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * time) for pitch in pitches]
    return (0.1 * np.sum(tones, axis=0)).astype(np.float32)


@pytest.mark.parametrize("bpm", [66.0, 100.0, 150.0])
def test_tempo_of_clicks(bpm: float) -> None:
    features = extract_features(clicks(bpm))
    assert features is not None
    ratio = features.bpm / bpm
    assert min(abs(ratio / factor - 1) for factor in (0.5, 1.0, 2.0)) < 0.02
    assert features.pulse > 0.5
    assert features.onsets_per_second == pytest.approx(bpm / 60, rel=0.15)


@pytest.mark.parametrize("bpm", [66.0, 100.0, 150.0])
@pytest.mark.parametrize("late", [0.0, 0.13, 0.31])
def test_beats_of_clicks(bpm: float, late: float) -> None:
    features = extract_features(np.pad(clicks(bpm), (round(late * RATE), 0)))
    assert features is not None
    beat = min(60.0 / features.bpm, 60.0 / bpm)
    beside = (features.beat_seconds - late + beat / 2) % beat - beat / 2
    assert abs(beside) < 0.07  # the tempo is half a percent off, so beats drift by that much


def test_the_beat_of_a_segment_is_in_the_time_of_the_track() -> None:
    clicking = clicks(100.0, 60.0)
    segments = describe_blocks([np.pad(clicking, (round(0.2 * RATE), 0))])
    for segment in segments:
        assert segment.beat_seconds is not None
        assert segment.beat_seconds >= segment.start_seconds
        assert abs((segment.beat_seconds - 0.2 + 0.3) % 0.6 - 0.3) < 0.07


def test_key_of_chords() -> None:
    cadence = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))
    features = extract_features(np.concatenate([chord(pitches) for pitches in cadence]))
    assert features is not None
    assert (features.tonic, features.minor) == (0, False)


def test_loudness_and_brightness() -> None:
    soft, loud = extract_features(chord((60,)) * 0.1), extract_features(chord((60,)))
    noise = np.random.default_rng(0).normal(size=3 * RATE).astype(np.float32) * 0.1
    bright = extract_features(noise)
    assert soft is not None
    assert loud is not None
    assert bright is not None
    assert loud.loudness_db - soft.loudness_db == pytest.approx(20.0, abs=0.1)
    assert loud.loudness_db == pytest.approx(10 * np.log10(0.005), abs=0.1)
    assert bright.high_share_db > -3 > -30 > loud.high_share_db


def test_silence_and_moments_are_not_heard() -> None:
    assert extract_features(np.zeros(5 * RATE, np.float32)) is None
    assert extract_features(clicks(100)[: RATE // 2]) is None
    (segment,) = describe_blocks([np.zeros(3 * RATE, np.float32)])
    assert segment.words == {}


def test_measurements_and_tags_become_words() -> None:
    words = segment_words(FEATURES, {"rock": 0.45, "sad": 0.2, "00s": 0.9, "jazz": 0.01})
    assert list(words["tempo"]) == ["fast"]
    assert list(words["drums"]) == ["drums"]
    assert list(words["brightness"]) == ["bright"]
    assert words["style"] == {"rock": 0.9}
    assert words["mood"]["sad"] == pytest.approx(0.4)
    assert tempo_bpm(FEATURES) == pytest.approx(135.0)


def test_segments_cover_the_music() -> None:
    segments = describe_blocks([np.tile(clicks(100), 5)[: round(43 * RATE)]])
    assert [(one.start_seconds, one.end_seconds) for one in segments] == [(0.0, 20.0), (20.0, 43.0)]


def test_a_stream_is_described_as_the_whole() -> None:
    whole = np.tile(clicks(100), 4)
    parts = [whole[:7], whole[7 : 31 * RATE], whole[31 * RATE :]]
    assert describe_blocks(parts) == describe_blocks([whole])


def test_what_changed_and_what_a_tagger_adds_is_described_again(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    soundfile.write(file, clicks(100, 6.0), RATE)
    soundfile.write(tmp_path / "click.wav", np.ones(1), RATE)
    lines = []
    for tagger in (None, None, ConstantTagger, None):
        assert describe_corpus(tmp_path, load_tagger=tagger).left_out == []
        lines.append((tmp_path / "attributes.jsonl").read_text().count("\n"))
    os.utime(file, (1, 1))
    describe_corpus(tmp_path)
    lines.append((tmp_path / "attributes.jsonl").read_text().count("\n"))
    assert lines == [2, 2, 4, 4, 5]
    assert [one.end_seconds for one in load_attributes(tmp_path)["click.wav"].segments] == [0.001]


@pytest.mark.slow
def test_a_corpus_is_described_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", clicks(100, 6.0), RATE)
    truth = Segment(start_seconds=0.0, end_seconds=6.0, words={"style": {"solo": 1.0}})
    save_attributes(tmp_path, [("a.wav", [truth])])
    with (tmp_path / "attributes.jsonl").open("a") as file:
        file.write('{"path": "b.wav", "seg')
    done = describe_corpus(tmp_path, load_tagger=ConstantTagger)
    known = load_attributes(tmp_path)
    assert (done.tracks, done.left_out) == (2, [])
    assert known["a.wav"].segments == [truth]
    assert known["b.wav"].segments[0].words["style"] == {"rock": 0.9}
    before = (tmp_path / "attributes.jsonl").read_bytes()
    describe_corpus(tmp_path, load_tagger=ConstantTagger)
    assert (tmp_path / "attributes.jsonl").read_bytes() == before
    (tmp_path / "attributes.jsonl").unlink()
    describe_corpus(tmp_path, load_tagger=ConstantTagger, jobs=2)
    assert load_attributes(tmp_path)["b.wav"] == known["b.wav"]


def test_segments_survive_json_and_bad_ones_are_refused() -> None:
    segment = Segment(start_seconds=0.0, end_seconds=2.0, words={"mood": {"sad": 0.5}}, bpm=60.0)
    assert segment_from(json.loads(json.dumps(segment_content(segment)))) == segment
    for wrong in (
        {"start_seconds": 2.0, "end_seconds": 2.0},
        {"start_seconds": 0.0, "end_seconds": 1.0, "words": {"smell": {"sweet": 1.0}}},
        {"start_seconds": 0.0, "end_seconds": 1.0, "words": {"mood": {"sad": 1.5}}},
    ):
        with pytest.raises(DataError, match="got"):
            Segment(**wrong)


def test_keys_are_transposed() -> None:
    assert transposed_key("A minor", 3) == "C minor"
    assert transposed_key("C major", -1) == "B major"
    with pytest.raises(DataError, match="H minor"):
        transposed_key("H minor", 1)
