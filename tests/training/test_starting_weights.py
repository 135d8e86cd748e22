"""A run starts from the weights it is given, and exports the weights it ends with."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import nn

from bandtok.data.shards import TokenCorpus
from bandtok.errors import ConfigError
from bandtok.model_specs import LM_SPEC, RERANKER_SPEC, TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.torch_checkpoint import load_network
from bandtok.training.find_recipe import recipe_modules
from bandtok.training.run import train
from bandtok.training.settings import describe

KINDS = {
    "tokenizer": TOKENIZER_SPEC,
    "vocoder": VOCODER_SPEC,
    "lm": LM_SPEC,
    "reranker": RERANKER_SPEC,
}
LEARNING_RATE = re.compile(r"^\w*(learning_rate|_rate|_lr)$")
SMALL_MUSIC = {"crop_mel_frames": "32", "batch_size": "2", "validation_crops": "1"}
JOINT = {
    **SMALL_MUSIC, "model_dim": "32", "num_blocks": "2", "expansion": "2",
    "num_corrections": "1", "tokenizer": "debug",
}  # fmt: skip
TOKENIZER = {**SMALL_MUSIC, "start_vectors_per_entry": "1"}
CASES = {
    "tokenizer": ("tokenizer", "debug", TOKENIZER),
    "tokenizer, codes frozen": ("tokenizer", "debug", {**TOKENIZER, "freeze_codes": "true"}),
    "residual": ("tokenizer", "residual_debug", TOKENIZER),
    "vocoder": ("vocoder", "debug", SMALL_MUSIC),
    "joint": ("vocoder", "joint", JOINT),
    "lm": ("lm", "debug", {"sampled_frames": "0"}),
    "reranker": ("reranker", "debug", {}),
}
Train = Callable[..., Path]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    soundfile.write(folder / "a.wav", np.random.default_rng(0).normal(0, 0.1, 44_100), 44_100)
    return folder


@pytest.fixture
def run(music: Path, corpus: TokenCorpus, tmp_path: Path) -> Train:
    """Train a case and return the run's folder."""

    def run(case: str, name: str, *, init: Path | None = None, **changed: str) -> Path:
        torch.set_num_threads(1)
        kind, recipe, settings = CASES[case]
        train(
            kind, recipe, data=corpus.folder if kind in ("lm", "reranker") else music,
            out=tmp_path / name, init=None if init is None else str(init),
            settings={**settings, **changed},
        )  # fmt: skip
        return tmp_path / name

    return run


def exported(case: str, folder: Path) -> nn.Module:
    network: nn.Module = load_network(KINDS[CASES[case][0]], folder)
    return network


def still(case: str) -> dict[str, str]:
    """Return the settings with which no step moves any parameter."""
    kind, recipe, _ = CASES[case]
    fields = describe(getattr(recipe_modules()[kind], recipe)())
    return {name: "0" for name in fields if LEARNING_RATE.match(name)}


@pytest.mark.parametrize("case", CASES)
def test_a_run_starts_from_the_weights_it_is_given(run: Train, case: str) -> None:
    """With learning rates of zero, a run exports what it had before its first step."""
    trained = {"freeze_codes": "false"} if "frozen" in case else {}
    first = run(case, "first", seed="5", steps="1", **trained)
    start = exported(case, first).state_dict()
    found = exported(case, run(case, "second", init=first, steps="1", **still(case))).state_dict()
    assert found.keys() == start.keys()
    new_codebook = CASES[case][0] == "tokenizer" and "frozen" not in case
    kept = [name for name in start if not (new_codebook and name.startswith("quantizer."))]
    assert all(torch.equal(found[name], start[name]) for name in kept)


def test_a_codebook_is_kept_on_request(run: Train) -> None:
    first = run("tokenizer", "first", seed="5", steps="1")
    start = exported("tokenizer", first).state_dict()["quantizer.codebook"]
    settings = {"steps": "1", "codebook_decay": "0.9999", "quantize_start_step": "0"}
    found = {}
    for kept in ("true", "false"):
        folder = run("tokenizer", kept, init=first, keep_codebook=kept, **settings)
        found[kept] = exported("tokenizer", folder).state_dict()["quantizer.codebook"]
    assert torch.allclose(found["true"], start, atol=0.02)
    assert not torch.allclose(found["false"], start, atol=0.2)
    with pytest.raises(ConfigError, match="--init"):
        run("tokenizer", "without", keep_codebook="true")


@pytest.mark.parametrize("case", ["tokenizer", "residual", "vocoder", "lm", "reranker"])
def test_exported_buffers_are_the_trained_buffers(run: Train, case: str) -> None:
    folder = run(case, "run", steps="4", save_every="4")
    network = exported(case, folder)
    state = load_file(max((folder / "state").iterdir()) / "tensors.safetensors")
    buffers = {name: b for name, b in network.named_buffers() if name in network.state_dict()}
    for name, buffer in buffers.items():
        assert torch.equal(buffer, state[f"network.{name}"].half().to(buffer.dtype)), name
    assert any("codebook" in name for name in buffers) or CASES[case][0] != "tokenizer"
