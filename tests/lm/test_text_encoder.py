"""The bundled text encoder, its network and its storage."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig as ReferenceConfig
from transformers import BertModel

from bandtok.backends import BackendName, Runtime, load_bert_text_encoder
from bandtok.errors import CheckpointError, ConfigError
from bandtok.lm.bert import Bert
from bandtok.lm.bert_config import BertConfig
from bandtok.lm.packed_weights import pack_matrix, pack_tensors, unpack_matrix, unpack_tensors
from bandtok.lm.text_encoder import (
    BUNDLED_TEXT_ENCODER,
    CONFIG_FILE,
    WEIGHTS_FILE,
    BertTextEncoder,
)

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 12,
}


@pytest.fixture(scope="module", params=["onnx", "torch"])
def bundled(request: pytest.FixtureRequest) -> BertTextEncoder:
    return load_bert_text_encoder(BUNDLED_TEXT_ENCODER, Runtime(backend=request.param))


def _cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_equals_the_bert_of_transformers() -> None:
    torch.manual_seed(0)
    reference = BertModel(ReferenceConfig(**SMALL), add_pooling_layer=False).eval()
    for parameter in reference.parameters():  # biases and norms too
        torch.nn.init.normal_(parameter, std=0.5)
    network = Bert(BertConfig(layer_norm_eps=1e-12, **SMALL)).eval()
    network.load_state_dict(reference.state_dict(), strict=True)
    ids = torch.randint(0, 50, (3, 9))
    mask = torch.arange(9) < torch.tensor([9, 4, 1])[:, None]
    with torch.no_grad():
        expected = reference(ids, attention_mask=mask.long()).last_hidden_state
        found = network(ids, mask)
    assert torch.allclose(found[mask], expected[mask], atol=1e-5)
    assert torch.allclose(network(ids[:1]), network(ids[:1], mask[:1]), atol=1e-5)


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiple"):
        BertConfig(hidden_size=10, num_attention_heads=4)
    with pytest.raises(ConfigError, match="at least 1"):
        BertConfig(num_hidden_layers=0)


def test_the_bundled_encoder_knows_meaning(bundled: BertTextEncoder) -> None:
    states = bundled.encode(
        ["a sad slow piano", "", "slow melancholic piano music", "a car engine"]
    )
    assert bundled.dim == states.states.shape[2] == 384
    assert not states.mask[1].any()
    piano, other, car = (states.states[row, 0] for row in (0, 2, 3))
    assert _cosine(piano, other) > _cosine(piano, car) + 0.2


def test_the_bundled_states_are_upstreams(bundled: BertTextEncoder) -> None:
    """Values of the upstream float32 weights through transformers 5.23."""
    states = bundled.encode(["a calm solo piano piece"]).states[0]
    assert states.shape == (8, 384)
    expected = np.array([-0.1436, -0.0211, 0.0912, -0.0911, -0.2696, 0.4106, 0.5426, -0.3236])
    assert _cosine(states[0, :8], expected) > 0.9995


def test_states_do_not_depend_on_the_batch(bundled: BertTextEncoder) -> None:
    texts = ["loud drums", "a quiet and slow piece for solo harp, recorded in a church"]
    together = bundled.encode(texts)
    for row, text in enumerate(texts):
        alone = bundled.encode([text]).states[0]
        np.testing.assert_allclose(together.states[row][together.mask[row]], alone, atol=1e-4)


def test_long_prompts_are_cut(bundled: BertTextEncoder) -> None:
    assert bundled.fits("piano " * 62)
    assert not bundled.fits("piano " * 63)
    assert not bundled.fits(" " * 20_001)
    assert bundled.encode(["piano " * 500]).states.shape == (1, 65, 384)


def test_packing_keeps_values_within_half_a_step() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(0, 0.05, (40, 64)).astype(np.float32)
    matrix[3] = 0
    found = unpack_matrix(*pack_matrix(matrix))
    step = np.abs(matrix).max(axis=1, keepdims=True) / 511
    assert found.dtype == np.float32
    assert (np.abs(found - matrix) <= 0.502 * step + 1e-9).all()
    assert (found[3] == 0).all()
    assert (np.abs(found).max(axis=1) > 0.99 * np.abs(matrix).max(axis=1))[[0, 1, 2]].all()


def test_packed_parts_must_fit() -> None:
    tensors = {"a.weight": np.ones((4, 8), np.float32), "a.bias": np.ones(4, np.float32)}
    packed = pack_tensors(tensors)
    assert {key: value.tolist() for key, value in unpack_tensors(packed).items()}.keys() == {
        "a.weight",
        "a.bias",
    }
    with pytest.raises(CheckpointError, match="do not fit"):
        unpack_tensors(packed | {"a.weight.low": packed["a.weight.low"][:, :1]})
    del packed["a.weight.scale"]
    with pytest.raises(CheckpointError, match=r"lack tensor 'a\.weight\.scale'"):
        unpack_tensors(packed)


@pytest.mark.parametrize(
    ("backend", "message"), [("torch", "cannot load"), ("onnx", "exported from")]
)
def test_damaged_folders_are_refused(tmp_path: Path, backend: BackendName, message: str) -> None:
    with pytest.raises(CheckpointError, match="cannot load the text encoder"):
        load_bert_text_encoder(tmp_path, Runtime())
    folder = tmp_path / "encoder"
    shutil.copytree(BUNDLED_TEXT_ENCODER, folder)
    content = json.loads((folder / CONFIG_FILE).read_bytes())
    content["config"]["num_hidden_layers"] = 5
    (folder / CONFIG_FILE).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=message):
        load_bert_text_encoder(folder, Runtime(backend=backend))


def test_the_card_names_the_bundled_bytes() -> None:
    card = (BUNDLED_TEXT_ENCODER / "README.md").read_text(encoding="utf-8")
    digest = hashlib.sha256((BUNDLED_TEXT_ENCODER / WEIGHTS_FILE).read_bytes()).hexdigest()
    assert digest in card


def test_bundled_weights_stay_within_90_megabytes() -> None:
    files = (path for path in BUNDLED_TEXT_ENCODER.parent.rglob("*") if path.is_file())
    assert sum(path.stat().st_size for path in files) <= 90e6
