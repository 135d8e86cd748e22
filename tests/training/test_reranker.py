"""The listener's training task."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bandtok.data.shards import TokenCorpus
from bandtok.errors import ConfigError
from bandtok.lm.reranker import Reranker
from bandtok.lm.text_embeddings import HashTextEncoder
from bandtok.model_specs import RERANKER_SPEC
from bandtok.torch_checkpoint import load_network
from bandtok.training.recipes import reranker as recipes
from bandtok.training.reranker import RerankerTask, RerankerTraining, choice_loss
from bandtok.training.run import train

BANDS, SIZE, WORDS = 4, 12, ("harp", "drums", "choir", "tuba")


@pytest.fixture
def corpus(tmp_path: Path) -> TokenCorpus:
    """Tracks whose one instrument is their codes' range."""
    folder = tmp_path / "shards"
    (folder / "codes").mkdir(parents=True)
    entries, rng = [], np.random.default_rng(0)
    for number in range(12):
        word = number % 4
        codes = 3 * word + rng.integers(0, 3, (BANDS, 40))
        np.save(folder / "codes" / f"{number}.npy", codes.astype(np.uint16))
        entries.append(
            {
                "file": f"codes/{number}.npy",
                "path": f"{number}.wav",
                "offset_samples": 0,
                "num_frames": 40,
                "split": "valid" if number >= 8 else "train",
                "title": "",
                "style": [WORDS[word]],
                "package": "",
            }
        )
    facts = {
        "num_bands": BANDS,
        "codebook_size": SIZE,
        "sample_rate": 8000,
        "samples_per_frame": 400,
        "fingerprint": "abc",
    }
    index = {"format": 1, "tokenizer": facts, "shards": entries}
    (folder / "index.json").write_text(json.dumps(index))
    return TokenCorpus(folder)


def _task(corpus: TokenCorpus, **changes: object) -> RerankerTask:
    recipe = replace(recipes.debug(), batch_size=8, frames=(4, 8), **changes)  # type: ignore[arg-type]
    return RerankerTask(recipe, corpus, HashTextEncoder(8))


def test_it_learns_which_caption_belongs_to_which_music(corpus: TokenCorpus) -> None:
    task = _task(corpus, validation_windows=4, learning_rate=1e-2)
    with torch.no_grad():
        before = task.validate(task.network)
    for step in range(60):
        task.step(step)
    task.network.eval()
    with torch.no_grad():
        after = task.validate(task.network)
    assert after["caption_found"] == 1.0
    assert after["loss"] < 0.5 * before["loss"]


def test_a_step_depends_only_on_state_and_number(corpus: TokenCorpus) -> None:
    first, second = _task(corpus), _task(corpus)
    assert first.step(5) == second.step(5)


def test_the_listener_takes_its_physics_from_the_shards(corpus: TokenCorpus) -> None:
    config = _task(corpus).config
    assert (config.num_bands, config.codebook_size) == (BANDS, SIZE)
    assert (config.tokenizer_fingerprint, config.text_dim) == ("abc", 8)


def test_choice_loss_by_hand() -> None:
    scores = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    rows = np.log1p(np.exp(-1.0)) + np.log1p(np.exp(-2.0))
    assert float(choice_loss(scores)) == pytest.approx(rows / 2)
    assert float(choice_loss(torch.zeros(5, 5))) == pytest.approx(np.log(5))


def test_a_run_leaves_a_listener(corpus: TokenCorpus, tmp_path: Path) -> None:
    result = train("reranker", "debug", data=corpus.folder, out=tmp_path / "run")
    assert result.finished
    assert load_network(RERANKER_SPEC, tmp_path / "run").config.num_bands == BANDS


@pytest.mark.parametrize("changes", [{"frames": (8, 4)}, {"batch_size": 1}])
def test_settings_out_of_range_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        RerankerTraining(**changes)  # type: ignore[arg-type]


def test_the_bundled_recipe_builds_and_trains_a_step(corpus: TokenCorpus) -> None:
    recipe = replace(recipes.bundled(), batch_size=4, tokenizer="", device="cpu", frames=(4, 8))
    network = replace(recipe.network, text_encoder="hash:8")
    task = RerankerTask(replace(recipe, network=network), corpus, HashTextEncoder(8))
    assert np.isfinite(task.step(0)["loss"])
    assert 1.2e6 < sum(p.numel() for p in Reranker(recipe.network).parameters()) < 2e6
