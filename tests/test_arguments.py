"""Every argument of `generate`, `generate_batch` and `edit` changes the result.

The arguments, and the fields of `GenerationConfig`, are found by introspection, so a new one is
covered as soon as it exists.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import bandtok
from bandtok.api.generation_config import CONFIG_FIELDS, EDIT_FIELDS
from bandtok.backends import Runtime, load_harmony, load_reranker, load_text_encoder
from bandtok.backends.torch_lm import TorchLanguageModel
from bandtok.lm import generate
from bandtok.lm.config import DEBUG_MUSIC_LM
from bandtok.lm.model import MusicLM

GUIDANCE = {"guidance_scale": 2.0, "beat_guidance_scale": 2.0}
BASES: dict[str, dict[str, Any]] = {
    "generate": {"prompt": "a calm piano", "duration_seconds": 0.4, **GUIDANCE},
    "generate_batch": {"prompts": ["a calm piano"] * 2, "duration_seconds": 0.4, **GUIDANCE},
    "edit": {
        "source": "grid",
        "region": bandtok.Region(seconds=(0.2, 0.5)),
        "prompt": "a calm piano",
        "bpm": 120.0,
        **GUIDANCE,
    },
}
"""Low guidance: the scores of a random network should leave something to chance."""
SAMPLING = {
    "seed": 1,
    "config": bandtok.GenerationConfig(temperature=0.0),
    "temperature": 0.0,
    "top_k": 1,
    "top_p": 0.1,
    "guidance_scale": 1.0,
    "beat_guidance_scale": 0.0,
    "num_candidates": 1,
    "bpm": 200.0,
    "key": "C# minor",
    "chords": "C Ebm",
    "meter": "1/4",
    "harmony_guidance_scale": 50.0,
    "level_strength": 1000.0,
}
GENERATE = {
    **SAMPLING,
    "prompt": "loud drums",
    "duration_seconds": 0.2,
    "bars": 2,
    "loop": True,
    "fade_out": 0.1,
    "continue_from": "grid",
    "loudness_lufs": -40.0,
}
"""Another value of every argument that shapes the result; callbacks are passed by their name."""
OTHERS: dict[str, dict[str, Any]] = {
    "generate": GENERATE,
    "generate_batch": {
        **{name: value for name, value in GENERATE.items() if name not in ("prompt", "seed")},
        "prompts": ["a calm piano", "loud drums"],
        "seeds": [0, 2],
    },
    "edit": {
        **SAMPLING,
        "prompt": "loud drums",
        "source": "other grid",
        "region": bandtok.Region(seconds=(0.1, 0.4)),
    },
}
NEEDED: dict[str, dict[str, Any]] = {
    "chords": {"bpm": 240.0},
    "meter": {"chords": "C Ebm", "bpm": 240.0},
    "harmony_guidance_scale": {"key": "C# minor"},
    "level_strength": {"num_candidates": 1},
}
"""What an argument takes another to have an effect."""
HEARD_ONLY = {"loudness_lufs", "fade_out"}
CASES = [
    (function, name)
    for function in OTHERS
    for name in inspect.signature(getattr(bandtok.MusicModel, function)).parameters
    if name not in ("self", "overrides")
]
FIELDS = {"generate": CONFIG_FIELDS, "generate_batch": CONFIG_FIELDS, "edit": EDIT_FIELDS}
FIELD_CASES = [(function, name) for function, names in FIELDS.items() for name in names]
CASES += FIELD_CASES


def grid(seed: int) -> bandtok.TokenGrid:
    tokenizer = bandtok.Tokenizer.from_pretrained("debug", device="cpu")
    codes = np.random.default_rng(seed).integers(0, 64, (16, 8))
    return bandtok.TokenGrid(
        codes=codes, codebook_size=64, sample_rate=tokenizer.sample_rate,
        samples_per_frame=tokenizer.samples_per_frame, fingerprint=tokenizer.fingerprint,
    )  # fmt: skip


GRIDS = {"grid": 0, "other grid": 1}


@pytest.fixture(scope="module", autouse=True)
def short_openings() -> Iterator[None]:
    """Levels are held after 0.1 s of new music."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate, "OPENING_SECONDS", 0.1)
        yield


@pytest.fixture(scope="module")
def model() -> bandtok.MusicModel:
    """A model in which everything counts: a beat, a reranker, and no part that is nearly zero."""
    torch.manual_seed(0)
    network = MusicLM(replace(DEBUG_MUSIC_LM, beat_conditioning=True)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    encoder = load_text_encoder(network.config.text_encoder)
    tokenizer = bandtok.Tokenizer.from_pretrained("debug", device="cpu")
    reranker = load_reranker("debug", Runtime())
    harmony = load_harmony("debug")
    return bandtok.MusicModel(TorchLanguageModel(network), encoder, tokenizer, reranker, harmony)


@pytest.fixture(scope="module")
def result_of(model: bandtok.MusicModel) -> Callable[..., list[np.ndarray]]:
    """Return the codes that a call gives with one argument changed; of a level, the samples."""

    def call(function: str, base: dict[str, Any] | None = None, **changed: Any) -> list[np.ndarray]:
        arguments = (BASES[function] if base is None else base) | changed
        for name, value in arguments.items():
            if isinstance(value, str) and value in GRIDS:
                arguments[name] = grid(GRIDS[value])
        clips = getattr(model, function)(**arguments)
        listed = clips if isinstance(clips, list) else [clips]
        if changed.keys() & HEARD_ONLY:
            return [clip.audio.waveform for clip in listed]
        return [clip.grid.codes for clip in listed]

    return call


@pytest.fixture(scope="module")
def unchanged(result_of: Callable[..., list[np.ndarray]]) -> dict[str, list[np.ndarray]]:
    return {function: result_of(function) for function in OTHERS}


@pytest.mark.parametrize(("function", "name"), CASES)
def test_each_argument_changes_the_result(
    result_of: Callable[..., list[np.ndarray]],
    unchanged: dict[str, list[np.ndarray]],
    function: str,
    name: str,
) -> None:
    if name.startswith("on_"):
        calls: list[tuple[Any, ...]] = []
        result_of(function, **{name: lambda *values: calls.append(values)})
        assert calls, f"{function} never calls {name}"
        return
    needed = NEEDED.get(name, {})
    found = result_of(function, **needed, **{name: OTHERS[function][name]})
    before = result_of(function, **needed) if needed else unchanged[function]
    if name in HEARD_ONLY:
        before = result_of(function, **{name: getattr(bandtok.GenerationConfig, name)})
    assert any(a.shape != b.shape or (a != b).any() for a, b in zip(found, before, strict=True))


@pytest.mark.parametrize("function", OTHERS)
def test_the_same_arguments_give_the_same_result(
    result_of: Callable[..., list[np.ndarray]],
    unchanged: dict[str, list[np.ndarray]],
    function: str,
) -> None:
    for found, before in zip(result_of(function), unchanged[function], strict=True):
        np.testing.assert_array_equal(found, before)


@pytest.mark.parametrize("function", OTHERS)
def test_the_table_has_no_argument_that_is_gone(function: str) -> None:
    assert set(OTHERS[function]) <= {name for of, name in CASES if of == function}


def test_an_edit_follows_its_prompt_inside_the_region_only(
    result_of: Callable[..., list[np.ndarray]], unchanged: dict[str, list[np.ndarray]]
) -> None:
    (before,), (after,) = unchanged["edit"], result_of("edit", prompt="loud drums")
    changed = (before != after).any(axis=0).nonzero()[0]
    rate = bandtok.Tokenizer.from_pretrained("debug", device="cpu").frame_rate
    assert len(changed)
    assert int(0.2 * rate) <= changed.min() <= changed.max() <= int(0.5 * rate)


@pytest.mark.parametrize(
    ("function", "name"), [(f, n) for f, names in FIELDS.items() for n in names]
)
def test_a_field_of_the_config_is_the_same_as_an_override(
    result_of: Callable[..., list[np.ndarray]], function: str, name: str
) -> None:
    values = {key: value for key, value in BASES[function].items() if key in CONFIG_FIELDS}
    values |= NEEDED.get(name, {})
    config = bandtok.GenerationConfig(**{**values, name: OTHERS[function][name]})
    given = {key: value for key, value in BASES[function].items() if key not in CONFIG_FIELDS}
    by_field = result_of(function, base=given, config=config)
    changed = {**NEEDED.get(name, {}), name: OTHERS[function][name]}
    if name in HEARD_ONLY:  # by a field, codes are compared
        changed = {}
    by_override = result_of(function, **changed)
    for found, expected in zip(by_field, by_override, strict=True):
        np.testing.assert_array_equal(found, expected)
