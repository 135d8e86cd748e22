"""Every loss weight, probability and switch of every training recipe changes the first gradient.

The fields are found by introspection, so a new one is covered as soon as it exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from bandtok.data.manifest import Track
from bandtok.data.shards import TokenCorpus
from bandtok.data.waveforms import WaveformStore
from bandtok.lm.text_embeddings import HashTextEncoder
from bandtok.model_specs import TOKENIZER_SPEC
from bandtok.torch_checkpoint import load_network
from bandtok.training.find_recipe import recipe_modules, recipe_names
from bandtok.training.joint import JointTask
from bandtok.training.lm import LMTask
from bandtok.training.recipes import lm as music_lm_recipes
from bandtok.training.recipes import reranker as reranker_recipes
from bandtok.training.recipes import tokenizer as tokenizer_recipes
from bandtok.training.recipes import vocoder as vocoder_recipes
from bandtok.training.reranker import RerankerTask
from bandtok.training.residual import ResidualTask
from bandtok.training.settings import describe, meanings, override
from bandtok.training.tokenizer import TokenizerTask
from bandtok.training.vocoder import VocoderTask

Settings = dict[str, str]
COVERED_NUMBER = re.compile(r"(_weight|_share|_prob|dropout)$")

RECIPES = ("tokenizer", "residual", "vocoder", "joint", "lm", "reranker")
NO_EFFECT = {("joint", "decoded_mel_prob"): "joint training decodes every mel of a batch"} | {
    (name, "loop.keep_best"): "decides which weights are written" for name in RECIPES
}
OTHER_NETWORK = {
    ("lm", "network.beat_conditioning"): "adds the parameters of the beat",
    ("lm", "network.rows_share_codes"): "gives each row embeddings of its own",
}
NOT_RUN = {("lm", "compile"): "compilation takes a minute and must not change the gradient"}
EXCEPTIONS = NO_EFFECT | OTHER_NETWORK | NOT_RUN
"""Fields of which 0 and 1 are not compared by the first gradient, and why."""

LARGEST = {"network.dropout": "0.9"}
"""Fields that do not reach 1."""


def debug_recipe(name: str) -> Any:
    """Return a debug recipe in which every loss takes part from the first step on."""
    small = {"discriminator_start_step": "0", "validation_crops": "1"}
    if name in ("tokenizer", "residual"):
        recipe = {
            "tokenizer": tokenizer_recipes.debug,
            "residual": tokenizer_recipes.residual_debug,
        }[name]()
        start = {"quantize_start_step": "0"}
        if name == "tokenizer":  # layers of residuals need more music to differ
            start |= {"start_vectors_per_entry": "2", "crop_mel_frames": "32"}
        return override(recipe, {**small, **start})
    if name in ("vocoder", "joint"):
        recipe = vocoder_recipes.debug()
        if name == "joint":
            recipe = replace(vocoder_recipes.joint(), network=recipe.network, loop=recipe.loop)
        sizes = {"batch_size": "1", "crop_mel_frames": "8", "tokenizer": "debug"}
        return override(recipe, {**small, **sizes})
    if name == "lm":
        recipe = music_lm_recipes.debug()
        recipe = replace(
            recipe, network=replace(recipe.network, beat_conditioning=True, window_frames=4)
        )
        return override(recipe, {"batch_size": "16", "infill_prob": "0.5"})
    return override(reranker_recipes.debug(), {"batch_size": "8"})


CASES = [
    (name, field)
    for name in RECIPES
    for field, value in describe(debug_recipe(name)).items()
    if isinstance(value, bool) or COVERED_NUMBER.search(field)
]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> WaveformStore:
    """A second of noise that swells and fades."""
    folder = tmp_path_factory.mktemp("music")
    samples = np.random.default_rng(0).normal(0, 0.1, 44_100) * np.sin(np.arange(44_100) / 9000)
    soundfile.write(folder / "a.wav", samples, 44_100)
    track = Track(path="a.wav", seconds=1.0, sample_rate=44_100, channels=1, bandwidth_hz=22_050.0)
    return WaveformStore([track], folder, folder / "cache", 44_100)


@pytest.fixture
def make_task(music: WaveformStore, beating: TokenCorpus) -> Callable[..., Any]:
    def make(name: str, settings: Mapping[str, str] | None = None) -> Any:
        torch.set_num_threads(1)
        recipe = override(debug_recipe(name), settings or {})
        if name in ("lm", "reranker"):
            task = {"lm": LMTask, "reranker": RerankerTask}[name]
            return task(recipe, beating, HashTextEncoder(8))
        if name in ("vocoder", "joint"):
            task = {"vocoder": VocoderTask, "joint": JointTask}[name]
            return task(recipe, music, music, load_network(TOKENIZER_SPEC, recipe.tokenizer))
        task = {"tokenizer": TokenizerTask, "residual": ResidualTask}[name]
        return task(recipe, music, music)

    return make


@dataclass(frozen=True, kw_only=True)
class FirstStep:
    """Parameters before the first step, and the gradients of that step, by name."""

    parameters: dict[str, Tensor]
    gradients: dict[str, Tensor]


def take_first_step(task: Any) -> FirstStep:
    parameters = dict(task.network.named_parameters())
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    torch.manual_seed(0)
    task.step(0)
    gradients = {name: p.grad.clone() for name, p in parameters.items() if p.grad is not None}
    return FirstStep(parameters=before, gradients=gradients)


@pytest.fixture(scope="module")
def known_steps() -> dict[str, FirstStep]:
    return {}


@pytest.fixture
def first_step(
    make_task: Callable[..., Any], known_steps: dict[str, FirstStep]
) -> Callable[[str, Settings], FirstStep]:
    """Return the first step of a recipe with settings; equal recipes are run once."""

    def step(name: str, settings: Settings) -> FirstStep:
        key = name + repr(describe(override(debug_recipe(name), settings)))
        if key not in known_steps:
            known_steps[key] = take_first_step(make_task(name, settings))
        return known_steps[key]

    return step


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(tensor, second[name]) for name, tensor in first.items()
    )


def off_and_on(name: str, field: str) -> tuple[Settings, Settings]:
    if isinstance(describe(debug_recipe(name))[field], bool):
        return {field: "false"}, {field: "true"}
    return {field: "0"}, {field: LARGEST.get(field, "1")}


@pytest.mark.parametrize(("name", "field"), [case for case in CASES if case not in EXCEPTIONS])
def test_each_field_changes_the_gradient_of_the_first_step(
    first_step: Callable[[str, Settings], FirstStep], name: str, field: str
) -> None:
    off, on = (first_step(name, settings) for settings in off_and_on(name, field))
    assert equal(off.parameters, on.parameters)
    assert not equal(off.gradients, on.gradients), f"{field} of {name} is ignored"


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_settings_give_the_same_gradient(
    make_task: Callable[..., Any], first_step: Callable[[str, Settings], FirstStep], name: str
) -> None:
    first, second = first_step(name, {}), take_first_step(make_task(name))
    assert equal(first.gradients, second.gradients)
    assert any(tensor.any() for tensor in first.gradients.values())


def test_every_exception_is_a_field_that_exists() -> None:
    assert set(EXCEPTIONS) <= set(CASES)


@pytest.mark.parametrize(("name", "field"), sorted(NO_EFFECT))
def test_an_exception_without_effect_still_has_none(
    first_step: Callable[[str, Settings], FirstStep], name: str, field: str
) -> None:
    off, on = (first_step(name, settings) for settings in off_and_on(name, field))
    assert equal(off.gradients, on.gradients), f"{field} of {name} has an effect: no exception"


@pytest.mark.parametrize(("name", "field"), sorted(OTHER_NETWORK))
def test_an_exception_with_another_network_still_has_one(
    make_task: Callable[..., Any], name: str, field: str
) -> None:
    off, on = (make_task(name, settings) for settings in off_and_on(name, field))
    shapes = [{key: p.shape for key, p in task.network.named_parameters()} for task in (off, on)]
    assert shapes[0] != shapes[1]


def test_the_fields_are_found() -> None:
    found = set(CASES)
    assert ("tokenizer", "commitment_weight") in found
    assert ("vocoder", "augmentation.synthetic_share") in found
    assert len(found) > 30


@pytest.mark.parametrize("name", ["tokenizer", "residual", "vocoder", "joint"])
def test_the_discriminator_moves_once_it_is_switched_on_and_not_before(
    make_task: Callable[..., Any], name: str
) -> None:
    task = make_task(name, {"discriminator_start_step": "1"})
    parameters = dict(task.modules["discriminator"].named_parameters())
    before = {key: tensor.detach().clone() for key, tensor in parameters.items()}
    numbers = task.step(0)
    assert equal(before, parameters)
    assert "adversarial_loss" not in numbers
    numbers = task.step(1)
    assert not any(torch.equal(tensor, parameters[key]) for key, tensor in before.items())
    assert np.isfinite(numbers["adversarial_loss"])


@pytest.mark.parametrize("name", ["tokenizer", "residual", "vocoder", "joint"])
def test_without_a_start_the_discriminator_never_moves(
    make_task: Callable[..., Any], name: str
) -> None:
    task = make_task(name, {"discriminator_start_step": "none"})
    parameters = dict(task.modules["discriminator"].named_parameters())
    before = {key: tensor.detach().clone() for key, tensor in parameters.items()}
    task.step(3)
    assert equal(before, parameters)


def _paths(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{name}.")
        else:
            yield prefix + name


@pytest.mark.parametrize("kind", list(recipe_modules()))
def test_every_setting_has_a_meaning(kind: str) -> None:
    for name in recipe_names(kind):
        recipe = getattr(recipe_modules()[kind], name)()
        known = meanings(recipe)
        assert [path for path in _paths(describe(recipe)) if not known.get(path)] == [], name
