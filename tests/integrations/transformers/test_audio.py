"""The tokenizer by the idioms of transformers, compared with the native one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioTokenization

import bandtok
from bandtok.errors import AudioError, GridError
from bandtok.integrations.transformers import BandTokFeatureExtractor, BandTokModel

RNG = np.random.default_rng(0)
SOUNDS = [RNG.normal(0, 0.1, samples).astype(np.float32) for samples in (30_000, 12_345, 4096)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    BandTokModel.from_native("debug").save_pretrained(folder)
    BandTokFeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def native() -> bandtok.Tokenizer:
    return bandtok.Tokenizer.from_pretrained("debug", backend="torch", device="cpu")


def test_codes_and_samples_are_the_native_ones(saved: Path, native: bandtok.Tokenizer) -> None:
    extractor = AutoFeatureExtractor.from_pretrained(saved)
    model = AutoModel.from_pretrained(saved)
    assert isinstance(model, BandTokModel)
    inputs = extractor(SOUNDS, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    encoded = model.encode(**inputs)
    decoded = model.decode(encoded.audio_codes, encoded.audio_codes_mask)
    for index, sound in enumerate(SOUNDS):
        expected = native.encode_waveform(sound[None, None])[0]
        frames = expected.shape[1]
        assert encoded.audio_codes_mask[index].sum() == frames
        np.testing.assert_array_equal(encoded.audio_codes[index, :, :frames], expected)
        waveform = native.decode_codes(expected[None])[0]
        found = decoded.audio_values[index, :, : waveform.shape[1]]
        np.testing.assert_array_equal(found, waveform)
        assert not decoded.audio_values[index, :, waveform.shape[1] :].any()
    output = model(**inputs)
    assert output.audio_values.shape == inputs["input_values"].shape
    as_tuple = model(**inputs, return_dict=False)
    assert torch.equal(as_tuple[0], output.audio_codes)


def test_saved_and_loaded_it_is_the_same(saved: Path) -> None:
    config = AutoConfig.from_pretrained(saved)
    assert (config.model_type, config.hop_length) == ("bandtok", 4096)
    loaded = AutoModelForAudioTokenization.from_pretrained(saved)
    original = BandTokModel.from_native("debug")
    loaded.codec()
    stored = dict(original.named_parameters()) | dict(original.named_buffers())
    for name, value in (dict(loaded.named_parameters()) | dict(loaded.named_buffers())).items():
        if not name.endswith((".counts", ".sums")):  # of training alone
            assert torch.equal(value, stored[name]), name


def test_the_bundled_model_keeps_its_fingerprint() -> None:
    model = BandTokModel.from_native()
    assert model.codec().fingerprint == bandtok.Tokenizer.from_pretrained().fingerprint
    assert model.config.num_bands == 16


def test_bad_input_is_refused(saved: Path) -> None:
    extractor = AutoFeatureExtractor.from_pretrained(saved)
    model = AutoModel.from_pretrained(saved)
    with pytest.raises(AudioError, match="16000 Hz"):
        extractor(SOUNDS[0], sampling_rate=16_000)
    with pytest.raises(AudioError, match="finite"):
        extractor(np.array([0.0, np.nan], np.float32))
    with pytest.raises(AudioError, match=r"\[batch, 1, samples\]"):
        model.encode(torch.zeros(2, 100))
    with pytest.raises(AudioError, match="mask"):
        model.encode(torch.zeros(1, 1, 100), torch.ones(1, 99))
    with pytest.raises(GridError, match=r"\[batch, bands, frames\]"):
        model.decode(torch.zeros(16, 3, dtype=torch.long))
    with pytest.raises(GridError, match="codes"):
        model.decode(torch.full((1, 16, 3), 10**6))
