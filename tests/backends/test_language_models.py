"""The language model, reranker and text encoder: onnx against torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from bandtok.backends import (
    Runtime,
    load_language_model,
    load_reranker,
    load_text_encoder,
)
from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.lm.beat import BeatGrid
from bandtok.lm.decoding import WindowDecoder
from bandtok.lm.generate import CodeRequest, generate_codes
from bandtok.lm.networks import LanguageModel
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.token_order import flatten

PROMPTS = ["a calm solo piano piece", "", "fast loud drums"]


def _pair(name: str | None) -> tuple[LanguageModel, LanguageModel]:
    onnx = load_language_model(name, Runtime())
    reference = load_language_model(name, Runtime(backend="torch"))
    assert not isinstance(onnx, TorchLanguageModel)
    assert isinstance(reference, TorchLanguageModel)
    return onnx, reference


def _log_likelihoods(
    model: LanguageModel, codes: np.ndarray, known: int, beat: BeatGrid | None = None
) -> np.ndarray:
    """Return log-probabilities of codes [clips, bands, frames] from token `known` on."""
    tokens = flatten(codes)
    encoder = load_text_encoder(model.config.text_encoder)
    text = encoder.encode(PROMPTS[: len(codes)])
    sampling = SamplingConfig(guidance_scale=1.5, beat_guidance_scale=1.2)
    decoder = WindowDecoder(model, len(codes), text, beat, sampling)
    logits = decoder.begin(np.arange(tokens.shape[1]), tokens[:, :known])
    found = []
    for place in range(known, tokens.shape[1]):
        scores = torch.log_softmax(torch.from_numpy(logits.copy()), dim=1).numpy()
        found.append(scores[np.arange(len(codes)), tokens[:, place]])
        if place + 1 < tokens.shape[1]:
            logits = decoder.step(tokens[:, place])
    return np.stack(found, axis=1)


@pytest.mark.parametrize("name", ["debug", None])
@pytest.mark.parametrize("known", [0, 150])
def test_steps_and_prefill_equal_torch_to_the_rounding_of_int8(
    name: str | None, known: int
) -> None:
    onnx, reference = _pair(name)
    config = reference.config
    request = CodeRequest(num_frames=min(24, config.window_frames), seeds=[1, 2, 3])
    codes = generate_codes(reference, request)
    known = min(known, codes[0].size // 2)
    beat = (
        BeatGrid.of_tempos([120.0, 0.0, 90.0], config.frame_rate)
        if config.beat_conditioning
        else None
    )
    found = _log_likelihoods(onnx, codes, known, beat)
    expected = _log_likelihoods(reference, codes, known, beat)
    assert found.mean() == pytest.approx(expected.mean(), abs=0.01)  # nats: 1 % of perplexity
    assert np.abs(found - expected).mean() < 0.1


def test_conditions_and_tempos_equal_torch() -> None:
    onnx, reference = _pair(None)
    text = load_text_encoder("minilm").encode(PROMPTS)
    np.testing.assert_allclose(onnx.condition(text, 3), reference.condition(text, 3), atol=1e-3)
    np.testing.assert_allclose(onnx.condition(None, 2), reference.condition(None, 2), atol=1e-3)
    np.testing.assert_allclose(onnx.tempo_scores(text), reference.tempo_scores(text), atol=1e-3)
    features = BeatGrid.of_tempos([120.0, 0.0], 10.0).features(5)
    found, expected = onnx.embed_beat(features), reference.embed_beat(features)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert onnx.num_parameters == reference.num_parameters


@pytest.mark.parametrize("name", ["debug", None])
def test_rerankers_agree(name: str | None) -> None:
    onnx, reference = (load_reranker(name, Runtime(backend=kind)) for kind in ("auto", "torch"))
    text = load_text_encoder(onnx.config.text_encoder).encode(PROMPTS)
    codes = np.random.default_rng(0).integers(0, onnx.config.codebook_size, (3, 16, 21))
    np.testing.assert_allclose(onnx.scores(codes, text), reference.scores(codes, text), atol=1e-4)


def test_text_encoders_agree() -> None:
    onnx, reference = (
        load_text_encoder("minilm", Runtime(backend=kind)).encode(PROMPTS)
        for kind in ("onnx", "torch")
    )
    np.testing.assert_array_equal(onnx.mask, reference.mask)
    np.testing.assert_allclose(onnx.states, reference.states, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_rows_do_not_depend_on_their_neighbors_nor_on_threads(threads: int) -> None:
    model = load_language_model("debug", Runtime(threads=threads))
    single = load_language_model("debug", Runtime(threads=1))
    encoder = load_text_encoder(model.config.text_encoder)
    sampling = SamplingConfig(guidance_scale=2.0)
    together = generate_codes(
        model,
        CodeRequest(num_frames=5, text=encoder.encode(PROMPTS), seeds=[1, 2, 3], sampling=sampling),
    )
    for row, prompt in enumerate(PROMPTS):
        text = encoder.encode([prompt])
        alone = CodeRequest(num_frames=5, text=text, seeds=[row + 1], sampling=sampling)
        np.testing.assert_array_equal(generate_codes(single, alone)[0], together[row])


def test_generating_and_editing_import_no_torch() -> None:
    code = (
        "import sys, bandtok\n"
        "model = bandtok.MusicModel.from_pretrained('debug')\n"
        "clip = model.generate('a harp', 0.5)\n"
        "model.edit(clip.grid, '0.1-0.3s', 'drums')\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("backend", "tolerance"), [("onnx", 0.05), ("torch", 1e-4)])
def test_a_window_that_begins_like_the_one_before_is_read_from_there(
    backend: str, tolerance: float
) -> None:
    model = load_language_model("debug", Runtime(backend=backend))
    config = model.config
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, config.codebook_size, (3, 24))
    other = tokens.copy()
    other[:, 12:] = rng.integers(0, config.codebook_size, (3, 12))
    order = np.arange(24)
    decoder = WindowDecoder(model, 3)
    decoder.begin(order[:20], tokens[:, :16])
    decoder.step(tokens[:, 16])
    lengths: list[int] = []
    chosen = decoder.rows([2, 0])
    extend = chosen._decoder.extend
    chosen._decoder.extend = lambda inputs: (  # type: ignore[method-assign]
        lengths.append(inputs.previous.shape[1]) or extend(inputs)  # type: ignore[func-returns-value]
    )
    for codes, first_frame, read in ((tokens, 0, 3), (other, 0, 8), (other, 1, 21)):
        found = chosen.begin(order, codes[[2, 0], :20], first_frame)
        fresh = WindowDecoder(model, 2).begin(order, codes[[2, 0], :20], first_frame)
        assert np.abs(found - fresh).max() < tolerance * np.abs(fresh).max()
        assert lengths.pop() == read
