"""Windows with words: captions, beats, tempos, and captions as states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bandtok.data.shards import TokenCorpus
from bandtok.data.token_windows import WindowSampler
from bandtok.errors import DataError
from bandtok.lm.beat import TEMPO_BINS, tempo_bin
from bandtok.lm.text_embeddings import HashTextEncoder
from bandtok.training.captioned_windows import CaptionedWindows, CaptionStates, other_captions

BANDS = 4


def test_captions_are_left_out_in_their_share(corpus: TokenCorpus) -> None:
    windows = CaptionedWindows(corpus, "train", 8, caption_dropout=0.25)
    captions = windows.sample(400, np.random.default_rng(0)).captions
    assert sum(not text for text in captions) / 400 == pytest.approx(0.25, abs=0.06)
    assert len(set(captions)) > 2


def test_wrong_captions_are_those_of_other_windows() -> None:
    captions = ["a", "a", "b", "c"]
    others = other_captions(captions)
    assert all(
        other in captions and other != own for own, other in zip(captions, others, strict=True)
    )
    assert other_captions(["a", "a"]) == ["a", "a"]


def test_windows_know_their_beat_at_the_speed_they_are_played_at(beating: TokenCorpus) -> None:
    windows = CaptionedWindows(beating, "train", 20)
    found = windows._captioned(windows.windows._windows([0, 1], [4, 4]), ["fast", "fast"])
    # 120 beats a minute are .1 a frame of .05 s; frame 4 is .1 s after the beat at .1 s.
    np.testing.assert_allclose(found.beat_grid.beats_per_frame, [0.1, 0.0])
    np.testing.assert_allclose(found.beat_grid.beats, [0.2, 0.0])
    assert found.tempo.tolist() == [tempo_bin(120.0), TEMPO_BINS]
    silent = windows._captioned(windows.windows._windows([0], [4]), [""])
    assert silent.tempo.tolist() == [-1]
    up = CaptionedWindows(beating, "valid", 20).spread(1)  # two octaves up: four times as fast
    np.testing.assert_allclose(up.beat_grid.beats_per_frame, [0.4])


def test_music_of_which_nothing_is_known_suggests_no_tempo(corpus: TokenCorpus) -> None:
    found = CaptionedWindows(corpus, "train", 20).spread(2)
    assert found.tempo.tolist() == [-1, -1]
    assert found.beat_grid.is_empty


def test_a_tempo_whose_beat_was_never_measured_is_not_taken_for_none(beating: TokenCorpus) -> None:
    shard = beating.shards[0]
    beating.shards[0] = replace(shard, segments=(replace(shard.segments[0], beat_seconds=None),))
    windows = CaptionedWindows(beating, "train", 20)
    found = windows._captioned(windows.windows._windows([0, 1], [4, 4]), ["fast", "fast"])
    assert found.tempo.tolist() == [-1, TEMPO_BINS]
    assert found.beat_grid.is_empty


def test_each_caption_is_encoded_once() -> None:
    class Counting(HashTextEncoder):
        seen: list[str] = []  # noqa: RUF012

        def encode(self, texts):  # type: ignore[no-untyped-def]
            self.seen.extend(texts)
            return super().encode(texts)

    captions = CaptionStates(Counting(8))
    first = captions(["a b", "", "a b"])
    captions(["", "c", "a b"])
    assert Counting.seen == ["a b", "", "c"]
    expected = HashTextEncoder(8).encode(["a b", "", "a b"])
    assert np.array_equal(first.states, expected.states)
    assert np.array_equal(first.mask, expected.mask)


def test_windows(corpus: TokenCorpus) -> None:
    windows = WindowSampler(corpus, corpus.shards, 31)
    assert [shard.path for shard in windows.shards] == ["1.wav", "2.wav"]
    sampled = windows.sample(40, np.random.default_rng(0))
    assert sampled.codes.shape == (40, BANDS, 31)
    places = zip(sampled.codes, sampled.shards, sampled.first_frames, strict=True)
    for window, shard, first in places:
        expected = corpus.codes(shard)[:, first : first + 31]
        np.testing.assert_array_equal(window, expected)
    assert len(set(sampled.first_frames)) > 1
    fixed = WindowSampler(corpus, corpus.shards, 5).spread(6)
    assert [shard.path[0] for shard in fixed.shards] == list("012012")
    assert not torch.equal(fixed.codes[0], fixed.codes[3])
    with pytest.raises(DataError, match="none of 3 shards has 99 frames"):
        WindowSampler(corpus, corpus.shards, 99)
