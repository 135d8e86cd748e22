"""Lengths in seconds and in bars, at the tempos of the tokenizer's frames."""

from __future__ import annotations

import pytest

import bandtok
from bandtok.api.generation_config import GenerationConfig
from bandtok.api.lengths import length_in_bars, length_in_seconds
from bandtok.errors import ConfigError


@pytest.fixture(scope="module")
def tokenizer() -> bandtok.Tokenizer:
    return bandtok.Tokenizer.from_pretrained("debug", device="cpu")


def test_seconds_are_rounded_up_to_frames(tokenizer: bandtok.Tokenizer) -> None:
    length = length_in_seconds(1.0, 90.0, tokenizer)
    assert length.num_samples == tokenizer.sample_rate
    assert (length.num_frames - 1) * tokenizer.samples_per_frame < length.num_samples
    assert length.num_frames * tokenizer.samples_per_frame >= length.num_samples
    assert length.bpm == 90.0


def test_bars_end_on_the_bar_to_the_sample(tokenizer: bandtok.Tokenizer) -> None:
    length = length_in_bars(GenerationConfig(bars=3, meter="3/4", bpm=90), 10, 70, tokenizer)
    assert length.num_samples == round(9 * 60 / 90 * tokenizer.sample_rate)
    assert length.bpm == 90
    assert length.num_frames * tokenizer.samples_per_frame >= length.num_samples
    suggested = length_in_bars(GenerationConfig(bars=3, meter="3/4"), 10, 70, tokenizer)
    assert suggested.bpm == 70


@pytest.mark.parametrize("bpm", [40.0, 61.7, 120.0, 239.0, 240.0])
@pytest.mark.parametrize("bars", [1, 4])
def test_beats_of_a_loop_fill_whole_frames(
    tokenizer: bandtok.Tokenizer, bpm: float, bars: int
) -> None:
    length = length_in_bars(GenerationConfig(bars=bars, bpm=bpm, loop=True), 10, 70, tokenizer)
    assert length.num_samples == round(4 * bars * 60 / bpm * tokenizer.sample_rate)
    assert length.bpm is not None
    assert 40 <= length.bpm <= 240
    beats = length.num_frames / tokenizer.frame_rate / 60 * length.bpm
    assert beats == pytest.approx(4 * bars)
    stretch = length.num_samples / (length.num_frames * tokenizer.samples_per_frame)
    assert stretch == pytest.approx(1, abs=1 / length.num_frames)


def test_a_loop_without_a_tempo_is_not_stretched(tokenizer: bandtok.Tokenizer) -> None:
    length = length_in_bars(GenerationConfig(loop=True), 10, 118.0, tokenizer)
    assert length.settings["bars"] == 4  # 8.1 s; 8 bars would be 16.3 s
    assert length.settings["bpm"] == length.bpm == pytest.approx(118, rel=0.01)
    assert length.num_samples == length.num_frames * tokenizer.samples_per_frame


@pytest.mark.parametrize(("bars", "bpm"), [(1, 240.0), (10_000, 60.0)])
def test_lengths_out_of_range_are_refused(
    tokenizer: bandtok.Tokenizer, bars: int, bpm: float
) -> None:
    config = GenerationConfig(bars=bars, bpm=bpm, meter="3/4")
    with pytest.raises(ConfigError, match=r"got 1.* bars of 3/4 at .* expected 1 to 3600 s"):
        length_in_bars(config, 10, 120, tokenizer)
