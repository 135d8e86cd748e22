"""Text to music by the idioms of transformers, compared with the native model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForTextToWaveform, AutoTokenizer, BatchEncoding, pipeline

import bandtok
from bandtok.checkpoint import find_model_folder
from bandtok.errors import ConfigError
from bandtok.integrations.transformers import (
    BandTokForTextToMusic,
    BandTokMusicConfig,
    text_tokenizer,
)
from bandtok.lm.beat import BeatGrid
from bandtok.lm.config import DEBUG_MUSIC_LM
from bandtok.lm.model import MusicLM
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.writer import ClipBatch, ClipWriter, seeded_rng
from bandtok.torch_checkpoint import save_network

PROMPTS = ["a calm piano", "techno, hard and fast drums, 140 BPM", ""]
FRAMES = 21  # nearly three windows
BANDS = DEBUG_MUSIC_LM.num_bands
GREEDY: dict[str, Any] = {"do_sample": False, "top_k": None, "max_new_tokens": FRAMES * BANDS}


@pytest.fixture(scope="module")
def native_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("native")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = replace(
            DEBUG_MUSIC_LM, text_encoder="minilm", text_dim=384, beat_conditioning=True
        )
        network = MusicLM(config)
        torch.nn.init.normal_(network.condition.outer.weight, std=0.1)  # so that text matters
    save_network(network, folder / "lm", "lm")
    for kind in ("tokenizer", "vocoder"):
        shutil.copytree(find_model_folder(kind, "debug"), folder / kind)
    return folder


@pytest.fixture(scope="module")
def saved(native_folder: Path) -> Path:
    folder = native_folder / "saved"
    BandTokForTextToMusic.from_native(native_folder).save_pretrained(folder)
    text_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def model(saved: Path) -> BandTokForTextToMusic:
    loaded = AutoModelForTextToWaveform.from_pretrained(saved)
    assert isinstance(loaded, BandTokForTextToMusic)
    return loaded


@pytest.fixture(scope="module")
def native(native_folder: Path) -> bandtok.MusicModel:
    return bandtok.MusicModel.from_pretrained(native_folder, backend="torch", device="cpu")


@pytest.fixture(scope="module")
def inputs(saved: Path) -> BatchEncoding:
    tokenizer = AutoTokenizer.from_pretrained(saved)
    return tokenizer(PROMPTS, padding=True, return_tensors="pt")


@pytest.mark.parametrize("bpm", [None, 120.0])
def test_greedy_codes_are_the_native_ones(
    model: BandTokForTextToMusic,
    native: bandtok.MusicModel,
    inputs: BatchEncoding,
    bpm: float | None,
) -> None:
    sampling = SamplingConfig(temperature=0.0, guidance_scale=3.0, beat_guidance_scale=2.0)
    batch = ClipBatch(
        text=native.text_encoder.encode(PROMPTS),
        codes=np.zeros((3, BANDS, 0), np.int64),
        rngs=[seeded_rng(0)] * 3,
        beat=BeatGrid.of_tempos([bpm] * 3, model.config.frame_rate) if bpm else None,
    )
    columns = ClipWriter(model=native.network, sampling=sampling).extend(batch, FRAMES)
    found = model.generate_codes(
        **inputs, guidance_scale=3.0, bpm=bpm, beat_guidance_scale=2.0, **GREEDY
    )
    np.testing.assert_array_equal(found, np.stack(list(columns), axis=2))


def test_logits_are_the_native_ones(
    model: BandTokForTextToMusic, native: bandtok.MusicModel, inputs: BatchEncoding
) -> None:
    tokens = torch.randint(64, (3, 5 * BANDS), generator=torch.Generator().manual_seed(0))
    output = model(**inputs, labels=tokens)
    with torch.no_grad():
        text = native.text_encoder.encode(PROMPTS)
        expected = native.network.network(tokens, text)  # type: ignore[attr-defined]
    torch.testing.assert_close(output.logits, expected)
    loss = torch.nn.functional.cross_entropy(expected.mT, tokens)
    torch.testing.assert_close(output.loss, loss)


def test_the_cache_changes_nothing(model: BandTokForTextToMusic, inputs: BatchEncoding) -> None:
    with_cache = model.generate_codes(**inputs, **GREEDY)
    without = model.generate_codes(**inputs, use_cache=False, **GREEDY)
    assert torch.equal(with_cache, without)


def test_a_batch_is_its_rows(model: BandTokForTextToMusic, saved: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(saved)
    batch = model.generate_codes(**tokenizer(PROMPTS, padding=True, return_tensors="pt"), **GREEDY)
    for row, prompt in zip(batch, PROMPTS, strict=True):
        alone = model.generate_codes(**tokenizer([prompt], return_tensors="pt"), **GREEDY)
        assert torch.equal(alone[0], row)
    assert not torch.equal(batch[0], batch[1])


def test_the_cache_has_two_names(model: BandTokForTextToMusic, inputs: BatchEncoding) -> None:
    start = torch.full((3, 1), model.config.vocab_size)
    results = []
    for name in ("cache", "past_key_values"):
        made = model.prepare_inputs_for_generation(start)["past_key_values"]
        output = model(decoder_input_ids=start, **{name: made})
        assert output.past_key_values.get_seq_length() == 1
        results.append(output.logits)
    torch.testing.assert_close(results[0], results[1])
    plain = model(decoder_input_ids=start).logits
    torch.testing.assert_close(results[0], plain)


def test_audio_is_the_codes_decoded(
    model: BandTokForTextToMusic, native: bandtok.MusicModel, inputs: BatchEncoding
) -> None:
    found = model.generate(**inputs, **GREEDY, return_dict_in_generate=True)
    assert isinstance(found, dict)
    expected = native.tokenizer.decode_codes(found["sequences"].numpy())
    np.testing.assert_array_equal(found["audio"], expected)
    alone = model.generate(**inputs, **GREEDY)
    assert isinstance(alone, torch.Tensor)
    assert torch.equal(alone, found["audio"])


def test_beams_and_several_clips_per_prompt(
    model: BandTokForTextToMusic, inputs: BatchEncoding
) -> None:
    settings = {"max_new_tokens": 2 * BANDS, "num_return_sequences": 2}
    sampled = model.generate_codes(**inputs, do_sample=True, **settings)
    assert sampled.shape == (6, BANDS, 2)
    beams = model.generate_codes(**inputs, do_sample=False, top_k=None, num_beams=2, **settings)
    assert beams.shape == (6, BANDS, 2)


def test_saved_and_loaded_it_is_the_same(model: BandTokForTextToMusic, native_folder: Path) -> None:
    original = BandTokForTextToMusic.from_native(native_folder).state_dict()
    for name, value in model.state_dict().items():
        if not name.endswith((".counts", ".sums")):  # of training alone
            assert torch.equal(value, original[name]), name
    seconds = model.generation_config.max_new_tokens / BANDS / model.config.frame_rate
    assert 10 <= seconds < 10.1
    assert model.generation_config.guidance_scale == 6


def test_pipeline_makes_audio(saved: Path) -> None:
    made = pipeline("text-to-audio", model=str(saved))
    output = made("a calm piano", generate_kwargs={"max_new_tokens": 3 * BANDS})
    assert output["audio"].shape == (3 * 4096,)
    assert output["sampling_rate"] == 44_100


def test_the_text_tokenizer_is_the_native_one(native: bandtok.MusicModel) -> None:
    tokenizer = text_tokenizer()
    for text in [*PROMPTS, "Crème brûlée — don't; 日本 ÆØÅ 120bpm"]:
        expected = native.text_encoder._tokenizer.encode(text, 64)  # type: ignore[attr-defined]
        assert tokenizer(text)["input_ids"] == list(expected)


def test_bad_input_is_refused(model: BandTokForTextToMusic, inputs: BatchEncoding) -> None:
    with pytest.raises(ConfigError, match="labels"):
        model(**inputs)
    with pytest.raises(ConfigError, match="at most 128"):
        model(decoder_input_ids=torch.zeros(1, 129, dtype=torch.long))
    with pytest.raises(ConfigError, match="16 per frame"):
        model.generate_codes(**inputs, max_new_tokens=5)
    with pytest.raises(ConfigError, match="hash"):
        BandTokMusicConfig(lm=DEBUG_MUSIC_LM.to_dict())
