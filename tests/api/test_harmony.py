"""Chords and keys of calls of the music model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import bandtok
from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.errors import ConfigError
from bandtok.lm.chords import parse_chords
from bandtok.lm.config import DEBUG_MUSIC_LM
from bandtok.lm.model import MusicLM


@pytest.fixture(scope="module")
def model() -> bandtok.MusicModel:
    """The debug model with a beat."""
    plain = bandtok.MusicModel.from_pretrained("debug", device="cpu")
    torch.manual_seed(0)
    network = TorchLanguageModel(MusicLM(replace(DEBUG_MUSIC_LM, beat_conditioning=True)).eval())
    return bandtok.MusicModel(
        network, plain.text_encoder, plain.tokenizer, plain.reranker, plain.harmony
    )


def share_right(model: bandtok.MusicModel, codes: np.ndarray, label: int) -> float:
    """Return how often a frame says a chord more than any other."""
    assert model.harmony is not None
    return float((model.harmony.chord_logits(codes).argmax(axis=0) == label).mean())


def test_tokens_follow_chords(model: bandtok.MusicModel) -> None:
    settings = {"bpm": 120.0, "harmony_guidance_scale": 100.0, "num_candidates": 1}
    clip = model.generate("", 4.0, chords="C F#m", **settings)
    first, second = parse_chords("C F#m")
    assert share_right(model, clip.grid.codes[:, :21], first) > 0.9
    assert share_right(model, clip.grid.codes[:, 22:43], second) > 0.9


def test_chords_of_a_continuation_begin_with_the_new_music(model: bandtok.MusicModel) -> None:
    settings = {"bpm": 120.0, "harmony_guidance_scale": 100.0, "num_candidates": 1}
    start = model.generate("", 1.0)
    clip = model.generate("", 4.0, chords="C F#m", continue_from=start, **settings)
    frames = start.grid.num_frames
    assert share_right(model, clip.grid.codes[:, frames : frames + 21], 0) > 0.9


def test_loop_keeps_its_chords_at_the_seam(model: bandtok.MusicModel) -> None:
    clip = model.generate(
        "", chords="F#m", loop=True, bars=2, bpm=120.0, harmony_guidance_scale=100.0
    )
    assert share_right(model, clip.grid.codes, 13) > 0.9


def test_edit_follows_chords(model: bandtok.MusicModel) -> None:
    piece = model.generate("", 4.0)
    settings = {"bpm": 120.0, "harmony_guidance_scale": 100.0}
    clip = model.edit(piece, "2-4s", chords="C F#m", **settings)
    assert share_right(model, clip.grid.codes[:, 22:43], 13) > 0.9
    np.testing.assert_array_equal(clip.grid.codes[:, :21], piece.grid.codes[:, :21])
    with pytest.raises(ConfigError, match="tempo of the piece"):
        model.edit(piece, "2-4s", chords="C")


def test_tempo_of_chords_is_recorded(model: bandtok.MusicModel) -> None:
    clip = model.generate("calm piano", 1.0, chords="C F")
    settings = clip.grid.extra["provenance"]["settings"]
    assert 40 <= settings["bpm"] <= 240
    assert settings["chords"] == "C F"


def test_key_of_a_prompt_counts_unless_another_is_given(model: bandtok.MusicModel) -> None:
    settings = {"duration_seconds": 1.0, "harmony_guidance_scale": 50.0, "num_candidates": 1}
    named = model.generate("a waltz in A minor", **settings)
    given = model.generate("a waltz in A minor", key="Am", **settings)
    other = model.generate("a waltz in A minor", key="C# major", **settings)
    without = model.generate("a waltz in A minor", **(settings | {"harmony_guidance_scale": 0.0}))
    np.testing.assert_array_equal(named.grid.codes, given.grid.codes)
    assert not np.array_equal(named.grid.codes, other.grid.codes)
    assert not np.array_equal(named.grid.codes, without.grid.codes)


def test_batch_with_keys_is_what_each_alone_gives(model: bandtok.MusicModel) -> None:
    prompts = ["a song in C major", "a song in F minor", "drums"]
    batch = model.generate_batch(prompts, 0.5, seeds=[1, 2, 3])
    for prompt, seed, clip in zip(prompts, (1, 2, 3), batch, strict=True):
        alone = model.generate(prompt, 0.5, seed)
        np.testing.assert_array_equal(clip.grid.codes, alone.grid.codes)


def test_model_without_classifier_refuses(model: bandtok.MusicModel) -> None:
    bare = bandtok.MusicModel(
        model.network, model.text_encoder, model.tokenizer, model.reranker, harmony=None
    )
    assert bare.generate("a song in C major", 0.5).grid.num_frames
    for settings in ({"chords": "C"}, {"key": "C major"}):
        with pytest.raises(ConfigError, match="no harmony classifier"):
            bare.generate("", 0.5, **settings)


def test_progress_begins_with_the_candidates(model: bandtok.MusicModel) -> None:
    calls: list[tuple[float, float]] = []
    clip = model.generate(
        "calm piano", 4.0, num_candidates=3, on_progress=lambda *call: calls.append(call)
    )
    frames = clip.grid.num_frames
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert done[:3] == [1, 2, 3]
    assert {call[1] for call in calls} == {frames}
    assert len(done) == frames + 32
    assert done[-1] == frames


def test_chords_without_a_beat_are_refused(model: bandtok.MusicModel) -> None:
    with pytest.raises(ConfigError, match="chords without a beat"):
        model.generate("", 0.5, chords="C", bpm=0.0)
