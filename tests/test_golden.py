"""The golden vectors fit the weights in the box, and a deviation is seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import bandtok
from bandtok.backends.torch_codec import ExternalVocoder, TorchCodec
from bandtok.errors import DataError
from bandtok.golden import VECTORS, compare_golden, snr_db, write_golden
from bandtok.signal.audio import Audio


@pytest.mark.parametrize("backend", ["onnx", "torch"])
@pytest.mark.parametrize(("model", "name"), [(None, "bundled"), ("debug", "debug")])
def test_this_machine_agrees(model: str | None, name: str, backend: str) -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained(model, device="cpu", backend=backend)
    result = compare_golden(tokenizer, name)
    assert result.same_model, "the vectors are of other weights: make them anew"
    assert result.passed


def test_a_changed_vocoder_and_a_changed_encoder_are_seen() -> None:
    tokenizer = bandtok.Tokenizer.from_pretrained("debug", backend="torch")
    encoder, vocoder = tokenizer.codec.network, tokenizer.codec.vocoder
    assert isinstance(encoder, TorchCodec)
    assert isinstance(vocoder, ExternalVocoder)
    with torch.no_grad():
        for parameter in vocoder.network.parameters():
            parameter.mul_(1.3)
    result = compare_golden(tokenizer, "debug")
    assert result.token_agreement == 1.0
    assert not result.passed
    with torch.no_grad():
        encoder.network.encoder.out.weight.mul_(1.5)
    changed = compare_golden(tokenizer, "debug")
    assert changed.token_agreement < 0.99


def test_vectors_of_ones_own(tmp_path: Path) -> None:
    shutil.copy(VECTORS / "input.flac", tmp_path)
    tokenizer = bandtok.Tokenizer.from_pretrained("debug", device="cpu")
    write_golden(tokenizer, "mine", tmp_path)
    assert compare_golden(tokenizer, "mine", tmp_path).passed
    with pytest.raises(DataError, match="no golden vectors"):
        compare_golden(tokenizer, "yours", tmp_path)


def test_decibels_by_hand() -> None:
    reference = Audio(np.full((1, 100), 0.5, np.float32), 44_100)
    tenth = Audio(np.full((1, 100), 0.55, np.float32), 44_100)
    assert snr_db(reference, tenth) == pytest.approx(20.0, abs=1e-3)
    assert snr_db(reference, reference) == float("inf")
