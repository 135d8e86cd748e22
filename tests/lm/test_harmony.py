"""The harmony classifier and sampling that it guides."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bandtok.backends import load_harmony
from bandtok.checkpoint import find_model_folder
from bandtok.errors import CheckpointError
from bandtok.lm.beat import BeatGrid
from bandtok.lm.chords import NO_CHORD, NUM_LABELS, parse_chords
from bandtok.lm.harmony import HarmonyTarget, chords_of_frames
from bandtok.model_specs import HARMONY_SPEC
from bandtok.torch_checkpoint import load_network

RATE = 44_100 / 4_096


@pytest.mark.parametrize("name", [None, "debug"])
def test_scores_are_those_of_the_network_centered(name: str | None) -> None:
    classifier = load_harmony(name)
    said = load_network(HARMONY_SPEC, name)().numpy()
    said = (said - said.mean(axis=3, keepdims=True)).transpose(2, 3, 0, 1)
    np.testing.assert_allclose(classifier.scores, said, atol=2e-5)


def test_logits_of_a_passage_add_up() -> None:
    classifier = load_harmony("debug")
    codes = np.random.default_rng(0).integers(0, 64, (16, 5))
    expected = sum(classifier.scores[0, :, band, codes[band, 2]] for band in range(16))
    np.testing.assert_allclose(classifier.chord_logits(codes)[:, 2], expected, rtol=1e-5)
    assert classifier.key_logits(codes).shape == (NUM_LABELS, 5)


def test_chords_change_with_bars() -> None:
    beat = BeatGrid.of_tempos([120.0], RATE)  # a bar of 2 s, 21.5 frames
    labels = chords_of_frames(parse_chords("C G"), beat, 4, 65)
    assert labels[:21].tolist() == [0] * 21
    assert labels[22:43].tolist() == [14] * 21
    assert labels[43:64].tolist() == [0] * 21
    later = chords_of_frames(parse_chords("C G"), beat.at(-10), 4, 75)
    assert later[10:].tolist() == labels.tolist()
    assert (chords_of_frames((), beat, 4, 7) == NO_CHORD).all()


def test_meter_sets_the_length_of_a_bar() -> None:
    beat = BeatGrid.of_tempos([60.0], RATE)
    labels = chords_of_frames(parse_chords("C G"), beat, 3, 65)
    assert (labels == 14).argmax() in (32, 33)


def test_chord_goes_before_key() -> None:
    classifier = load_harmony("debug")
    chords = np.array([3, NO_CHORD])
    target = HarmonyTarget(classifier=classifier, chords=chords, key=5, scale=2.0)
    np.testing.assert_allclose(target.bias(0, 7), 2 * classifier.scores[0, 3, 7])
    np.testing.assert_allclose(target.bias(1, 7), 2 * classifier.scores[1, 5, 7])
    assert replace(target, key=None).bias(1, 7) == 0.0


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    for file in find_model_folder("harmony", "debug").iterdir():
        shutil.copy(file, tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"hidden_dim": 4', '"hidden_dim": 5'))
    with pytest.raises(CheckpointError, match="inner_weight"):
        load_harmony(tmp_path)


@pytest.mark.parametrize("text", ["C", "Am", "F#m", "Eb"])
def test_sampling_that_follows_a_chord_is_read_as_that_chord(text: str) -> None:
    """Codes drawn by what they say for a chord are classified as that chord."""
    classifier, (label,) = load_harmony(None), parse_chords(text)
    target = HarmonyTarget(classifier=classifier, chords=np.full(8, label), key=None, scale=3.0)
    rng = np.random.default_rng(0)
    codes = np.empty((16, 8), np.int64)
    for frame in range(8):
        for band in range(16):
            weights = np.exp(target.bias(frame, band))
            codes[band, frame] = rng.choice(4096, p=weights / weights.sum())
    assert int(classifier.chord_logits(codes).sum(axis=1).argmax()) == label
