"""The weights in the box: they fit together, are small, and do their job on real music."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.cutting import cut

import bandtok
from bandtok.checkpoint import BUNDLED
from bandtok.evaluation.reconstruction import mel_distance
from bandtok.signal.audio import load_audio

EXCERPT = Path(__file__).parents[1] / "examples" / "audio" / "greece.flac"


@pytest.fixture(scope="module")
def tokenizer() -> bandtok.Tokenizer:
    return bandtok.Tokenizer.from_pretrained()


def test_all_weights_together_are_small_and_have_cards() -> None:
    files = [file for file in BUNDLED.rglob("*.safetensors") if "debug" not in file.parts]
    names = {"tokenizer", "vocoder", "lm", "reranker", "harmony", "text_encoder"}
    assert {file.parent.name for file in files} == names
    everything = [file for file in BUNDLED.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in everything) <= 90e6
    assert all(file.stat().st_size <= 30e6 for file in files)
    assert all((file.parent / "README.md").stat().st_size > 500 for file in files)


def test_bit_rate_is_as_promised(tokenizer: bandtok.Tokenizer) -> None:
    assert tokenizer.num_bands == 16
    assert tokenizer.frame_rate == pytest.approx(10.7666, abs=1e-4)
    assert tokenizer.bit_rate_bps <= 2300


def test_real_music_comes_back(tokenizer: bandtok.Tokenizer) -> None:
    reference = load_audio(EXCERPT, 44_100, mono=True)
    estimate = tokenizer.decode(tokenizer.encode(EXCERPT))
    assert estimate.waveform.shape == reference.waveform.shape
    assert mel_distance(reference, estimate).below < 0.36


@pytest.mark.slow
def test_a_minute_whole_and_in_windows_of_any_length(tokenizer: bandtok.Tokenizer) -> None:
    music = np.tile(load_audio(EXCERPT, 44_100, mono=True).waveform[0], 5)
    whole = tokenizer.encode_waveform(music[None, None])[0]
    for seconds in (0.37, 5.0, 13.7):
        pieces = cut(music, round(seconds * 44_100))
        assert np.array_equal(
            np.concatenate(list(tokenizer.codec.encode_blocks(pieces)), axis=1), whole
        )


def test_silence_stays_silent(tokenizer: bandtok.Tokenizer) -> None:
    silence = bandtok.Audio(np.zeros((1, 44_100), np.float32), 44_100)
    assert np.abs(tokenizer.decode(tokenizer.encode(silence)).waveform).max() < 0.01


@pytest.mark.slow
def test_a_prompt_becomes_music_and_the_seed_decides_it() -> None:
    model = bandtok.MusicModel.from_pretrained()
    first = model.generate("a calm solo piano piece", duration_seconds=1.0, seed=1)
    again = model.generate("a calm solo piano piece", duration_seconds=1.0, seed=1)
    other = model.generate("a calm solo piano piece", duration_seconds=1.0, seed=2)
    assert first.audio.waveform.shape == (1, 44_100)
    assert np.array_equal(first.grid.codes, again.grid.codes)
    assert not np.array_equal(first.grid.codes, other.grid.codes)
    assert np.abs(first.audio.waveform).max() > 1e-3
