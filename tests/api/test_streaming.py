"""A clip that is heard while it is written is the clip."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from bandtok.api.clip import Clip
from bandtok.api.music_model import MusicModel
from bandtok.api.streaming import ClipStream
from bandtok.errors import ConfigError
from bandtok.signal.loudness import normalize_loudness
from bandtok.signal.true_peak import true_peak_dbfs


@pytest.fixture(scope="module")
def model() -> MusicModel:
    return MusicModel.from_pretrained("debug", device="cpu")


@pytest.mark.parametrize("loudness", [None, -16.0])
def test_blocks_are_the_whole_clip(model: MusicModel, loudness: float | None) -> None:
    whole = model.generate("calm", 0.7, seed=3, loudness_lufs=None)
    stream = ClipStream(
        model.tokenizer,
        lambda on_column: model.generate("calm", 0.7, seed=3, on_column=on_column),
        loudness,
    )
    sound = np.concatenate(list(stream), axis=1)
    np.testing.assert_array_equal(stream.clip.grid.codes, whole.grid.codes)
    if loudness is None:
        np.testing.assert_allclose(sound, whole.audio.waveform, atol=1e-5)
    else:
        assert sound.shape == whole.audio.waveform.shape
        assert true_peak_dbfs(sound, whole.audio.sample_rate) <= -1.0
        assert not np.array_equal(sound, whole.audio.waveform)


def test_a_clip_has_its_loudness_and_the_tokens_do_not(model: MusicModel) -> None:
    plain = model.generate("calm", 1.0, seed=3, loudness_lufs=None)
    clip = model.generate("calm", 1.0, seed=3, loudness_lufs=-40.0)
    np.testing.assert_array_equal(clip.grid.codes, plain.grid.codes)
    np.testing.assert_array_equal(model.tokenizer.decode(clip.grid).waveform, plain.audio.waveform)
    expected = normalize_loudness(plain.audio, -40.0)
    np.testing.assert_array_equal(clip.audio.waveform, expected.waveform)
    assert not np.array_equal(clip.audio.waveform, plain.audio.waveform)
    with pytest.raises(ConfigError, match="LUFS"):
        model.generate("calm", 1.0, loudness_lufs=3.0)
    with pytest.raises(ConfigError, match="LUFS"):
        ClipStream(model.tokenizer, lambda on_column: plain, 3.0)


def test_sound_comes_before_the_writing_ends(model: MusicModel) -> None:
    heard = threading.Event()

    def write(on_column: Callable[[Tensor], None]) -> Clip:
        for _ in range(400):
            on_column(torch.zeros(model.tokenizer.num_bands, dtype=torch.int64))
        assert heard.wait(timeout=60)
        return model.generate("", 0.2)

    blocks = iter(ClipStream(model.tokenizer, write))
    assert next(blocks).shape[1] > 0
    heard.set()
    list(blocks)


def test_ending_early_stops_the_writing(model: MusicModel) -> None:
    columns = 0

    def write(on_column: Callable[[Tensor], None]) -> Clip:
        nonlocal columns
        while True:
            on_column(torch.zeros(model.tokenizer.num_bands, dtype=torch.int64))
            columns += 1
            time.sleep(0.0001)

    blocks = iter(ClipStream(model.tokenizer, write))
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    written = columns
    time.sleep(0.05)
    assert columns == written


def test_an_error_of_the_writing_is_raised(model: MusicModel) -> None:
    stream = ClipStream(
        model.tokenizer, lambda on_column: model.generate("calm", -1, on_column=on_column)
    )
    with pytest.raises(ConfigError, match="duration"):
        list(stream)
