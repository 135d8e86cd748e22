"""Embedders: shapes, the small real and random networks behind one interface, safe loading."""

from __future__ import annotations

import importlib.util
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file

from bandtok.errors import AudioError, CheckpointError, ConfigError, MissingDependency
from bandtok.evaluation.embedders import (
    AisfxEmbedder,
    ClapEmbedder,
    load_aisfx,
    load_embedder,
)
from bandtok.evaluation.pretrained import read_plain_checkpoint

RATE = 44_100


def noise(seconds: float, level: float = 0.1) -> np.ndarray:
    values = level * np.random.default_rng(0).standard_normal(round(seconds * RATE))
    return values.astype(np.float32)


class Mean(torch.nn.Module):
    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return mel.mean(dim=1)


@pytest.fixture(scope="module")
def clap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random CLAP model on disk."""
    folder = tmp_path_factory.mktemp("clap")
    words = ["<s>", "<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz", "Ġ"]
    vocabulary, merges = folder / "vocab.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({word: index for index, word in enumerate(words)}))
    merges.write_text("#version: 0.2\n")
    tokenizer = transformers.RobertaTokenizer.from_pretrained(folder)
    extractor = transformers.ClapFeatureExtractor(
        max_length_s=1, truncation="rand_trunc", feature_size=64
    )
    config = transformers.ClapConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
        },
        audio_config={
            "spec_size": 128,
            "window_size": 4,
            "patch_embeds_hidden_size": 8,
            "hidden_size": 16,
            "depths": [1, 1],
            "num_attention_heads": [2, 2],
            "num_hidden_layers": 2,
        },
        projection_dim=12,
    )
    torch.manual_seed(0)
    transformers.ClapModel(config).save_pretrained(folder)
    transformers.ClapProcessor(extractor, tokenizer).save_pretrained(folder)
    return folder


def test_clap_gives_unit_vectors_of_sound_and_text(clap: Path) -> None:
    judge = ClapEmbedder(clap)
    sound = judge.embed(noise(2.5), RATE)
    texts = judge.embed_texts(["a piano", "drums"])
    assert sound.shape == (3, judge.embedding_dim) == (3, 12)
    assert texts.shape == (2, 12)
    np.testing.assert_allclose(np.linalg.norm(sound, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, rtol=1e-5)
    score = judge.score(noise(2.5), RATE, "drums")
    assert score == pytest.approx(float(np.mean(sound @ texts[1])), abs=1e-5)
    assert np.abs(texts[0] - texts[1]).max() > 1e-4


def test_a_folder_without_clap_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot load CLAP"):
        ClapEmbedder(tmp_path)


def test_aisfx_windows_and_levels() -> None:
    embedder = AisfxEmbedder(Mean())
    loud, quiet = (embedder.embed(noise(5.0, level), RATE) for level in (0.3, 0.003))
    assert loud.shape == (2, 96)  # 215 frames: two windows of 100
    assert (loud > quiet).all()
    assert embedder.embed(noise(0.01), RATE).shape == (1, 96)
    with pytest.raises(AudioError, match="mono"):
        embedder.embed(np.zeros((1, 9), np.float32), RATE)


@pytest.mark.skipif(
    importlib.util.find_spec("aisfx") is None,
    reason="aisfx is not installed: pip install --no-deps aisfx",
)
def test_the_real_aisfx_loads_and_tells_sounds_apart() -> None:
    embedder = load_embedder("aisfx")
    vectors = embedder.embed(noise(2.4), RATE)
    assert vectors.shape == (1, embedder.embedding_dim)
    tone = np.sin(np.arange(len(noise(2.4))) * 0.05).astype(np.float32)
    other = embedder.embed(tone, RATE)
    assert np.abs(vectors - other).max() > 0.1
    np.testing.assert_array_equal(embedder.embed(tone, RATE), other)


def test_missing_packages_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install --no-deps aisfx$"):
        load_aisfx()


@pytest.mark.parametrize("name", ["openl3", "vggish", "vggish:", "clap:", "musicnn:x"])
def test_an_unknown_embedder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="musicnn, aisfx, clap:FOLDER_OR_HUB_ID or vggish:"):
        load_embedder(name)


class Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("attacked"),)  # type: ignore[return-value]


def test_a_checkpoint_that_would_run_something_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(({"a": torch.zeros(1)}, {"b": Attack()}), tmp_path / "bad.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(({}, Attack())))
    (tmp_path / "noise.pth").write_bytes(b"not a checkpoint")
    (tmp_path / "noise.safetensors").write_bytes(b"not a checkpoint")
    torch.save(({"a": 1}, {}), tmp_path / "numbers.pth")
    torch.save({"a": Attack()}, tmp_path / "dict.pth")
    torch.save([1], tmp_path / "list.pth")
    names = [f"{name}.pth" for name in ("bad", "old", "noise", "numbers", "dict", "list", "absent")]
    for name in (*names, "noise.safetensors", "absent.safetensors"):
        with pytest.raises(CheckpointError):
            read_plain_checkpoint(tmp_path / name)
    assert not Path("attacked").exists()


def test_tensors_and_numbers_are_read(tmp_path: Path) -> None:
    torch.save(({"a": torch.ones(2)}, {"b": (np.int64(3), 4)}), tmp_path / "good.pth")
    torch.save({"a": torch.ones(2)}, tmp_path / "states.pth")
    save_file({"a": torch.ones(2)}, tmp_path / "good.safetensors")
    for name in ("good.pth", "states.pth", "good.safetensors"):
        torch.testing.assert_close(read_plain_checkpoint(tmp_path / name), {"a": torch.ones(2)})
