"""Captions: all that is known, said in many ways, nothing invented, nothing contradictory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bandtok.data.caption_templates import SYNONYMS
from bandtok.data.captions import full_window_caption, window_caption
from bandtok.data.segments import Segment
from bandtok.data.shards import Shard
from bandtok.data.window_attributes import window_attributes

SLOW = Segment(
    start_seconds=0.0,
    end_seconds=20.0,
    words={
        "style": {"ambient": 1.0},
        "instrument": {"choir": 0.9, "warm pad": 0.8},
        "mood": {"calm": 0.8},
        "tempo": {"slow": 1.0},
        "drums": {"no drums": 1.0},
    },
    bpm=60.0,
    bpm_weight=1.0,
    key="A minor",
    key_weight=1.0,
    meter="3/4",
    loudness_db=-30.0,
)
FAST = Segment(
    start_seconds=20.0,
    end_seconds=40.0,
    words={"style": {"metal": 1.0}, "tempo": {"fast": 1.0}, "drums": {"drums": 1.0}},
    loudness_db=-10.0,
)
SHARD = Shard(
    file="a",
    path="a.flac",
    offset_samples=0,
    num_frames=400,
    split="train",
    title="Nuclear Heartbeat",
    style=[],
    package="",
    frame_seconds=0.1,
    segments=(SLOW, FAST),
)


def captions(shard: Shard, first: int = 0, count: int = 400) -> list[str]:
    rng = np.random.default_rng(0)
    return [window_caption(shard, first, 100, rng) for _ in range(count)]


def test_a_window_is_described_by_the_segment_that_it_shares_most_with() -> None:
    assert "slow" in full_window_caption(SHARD, 0, 100)
    assert "slow" in full_window_caption(SHARD, 140, 100)
    assert "fast" in full_window_caption(SHARD, 160, 100)
    assert full_window_caption(replace(SHARD, title=""), 900, 100) == ""


def test_full_captions_say_all_in_a_fixed_wording() -> None:
    assert full_window_caption(SHARD, 0, 100) == (
        "ambient, choir, warm pad, slow, 60 bpm, soft, calm, no drums, in A minor, in three, "
        "Nuclear Heartbeat"
    )


def test_captions_vary_and_are_the_same_for_the_same_draw() -> None:
    assert captions(SHARD) == captions(SHARD)
    found = captions(SHARD)
    assert len(set(found)) > 300
    assert all(found)
    assert min(map(len, found)) < 10
    assert max(map(len, found)) > 80


def test_all_is_said_now_and_then_and_the_doubtful_less_often() -> None:
    doubtful = replace(SLOW, words={**SLOW.words, "mood": {"calm": 0.8, "dreamy": 0.1}})
    found = [text.lower() for text in captions(replace(SHARD, segments=(doubtful,)), count=1500)]

    def share(*ways: str) -> float:
        return sum(any(way in text for way in ways) for text in found) / len(found)

    for word in ("ambient", "choir", "warm pad", "no drums", "slow", "60", "a minor", "nuclear"):
        assert 0.01 < share(word) < 0.9, word
    assert share(*SYNONYMS["calm"]) > 3 * share(*SYNONYMS["dreamy"]) > 0


def test_some_are_requests() -> None:
    found = captions(SHARD)
    asked = [text for text in found if text.lower().startswith(("play ", "i would like "))]
    assert 0 < len(asked) < len(found) / 20


def test_nothing_is_invented() -> None:
    for text in captions(SHARD):
        for other in ("rock", "guitar", "happy", "fast", "loud", "piano", "bright", "with drums"):
            assert other not in text.lower().split(), text


def test_gain_and_transposition_change_what_is_said() -> None:
    louder = replace(SHARD, gain_db=20.0)
    assert ", loud," in full_window_caption(louder, 0, 100)
    higher = replace(SHARD, semitones=2)
    text = full_window_caption(higher, 0, 100)
    assert "in B minor" in text
    assert "67 bpm" in text
    assert higher.seconds_at(100) == pytest.approx(10 * 2 ** (2 / 12))


def test_style_of_the_manifest_counts_too_but_less() -> None:
    shard = replace(SHARD, style=["dark", "metal"], segments=(SLOW,))
    kept = {item.word: item.weight for item in window_attributes(shard, 0, 100)}
    assert kept["dark"] < kept["ambient"]
    assert "metal" not in kept  # the music is calm


def test_of_nothing_nothing_is_said() -> None:
    bare = replace(SHARD, title="Track 1", segments=())
    assert set(captions(bare, count=20)) == {""}
    assert full_window_caption(bare, 0, 100) == ""
    titled = replace(bare, title="Loyalists")
    assert all("oyalists" in text for text in captions(titled, count=30))
