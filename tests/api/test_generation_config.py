"""`GenerationConfig`: ranges, overrides, and defaults that exist once."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Any

import pytest
from typer.main import get_command

import bandtok
from bandtok.api.generation_config import (
    CONFIG_FIELDS,
    DEFAULT_DURATION_SECONDS,
    DEFAULT_SEED,
    EDIT_FIELDS,
    GenerationConfig,
    GenerationOverrides,
)
from bandtok.cli.main import app
from bandtok.errors import ConfigError
from research.analysis.__main__ import app as analysis

FUNCTIONS = ("generate", "generate_batch", "edit")


@pytest.fixture(scope="module")
def model() -> bandtok.MusicModel:
    return bandtok.MusicModel.from_pretrained("debug", device="cpu")


def cli_defaults(command: Any) -> dict[str, object]:
    """Return the default of each option, by its long name without dashes."""
    return {
        option[2:].replace("-", "_"): parameter.default
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }


CLI_NAMES = {"loudness_lufs": "loudness"}


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (get_command(app).get_command(None, "generate"), CONFIG_FIELDS),  # type: ignore[attr-defined]
        (get_command(app).get_command(None, "edit"), EDIT_FIELDS),  # type: ignore[attr-defined]
        (
            get_command(analysis),
            ("temperature", "top_k", "guidance_scale", "beat_guidance_scale", "num_candidates"),
        ),
    ],
    ids=["generate", "edit", "analysis"],
)
def test_the_command_line_has_the_defaults_of_the_config(
    command: Any, names: tuple[str, ...]
) -> None:
    found, config = cli_defaults(command), GenerationConfig()
    for name in names:
        value = found[CLI_NAMES.get(name, name)]
        assert value == getattr(config, name), name
        assert type(value) is type(getattr(config, name)), name


def test_duration_and_seed_have_one_default() -> None:
    command = get_command(app).get_command(None, "generate")  # type: ignore[attr-defined]
    found = cli_defaults(command)
    assert (found["duration"], found["seed"]) == (DEFAULT_DURATION_SECONDS, DEFAULT_SEED)
    for name in ("generate", "generate_batch"):
        parameters = inspect.signature(getattr(bandtok.MusicModel, name)).parameters
        assert parameters["duration_seconds"].default == DEFAULT_DURATION_SECONDS
    for name in ("generate", "edit"):
        assert inspect.signature(getattr(bandtok.MusicModel, name)).parameters["seed"].default == 0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_the_config_and_have_no_default_of_their_own(name: str) -> None:
    parameters = inspect.signature(getattr(bandtok.MusicModel, name)).parameters
    assert parameters["config"].default == GenerationConfig()
    assert not set(parameters) & set(CONFIG_FIELDS)


def test_overrides_have_the_names_and_types_of_the_fields() -> None:
    hints = typing.get_type_hints(GenerationConfig)
    assert typing.get_type_hints(GenerationOverrides) == {n: hints[n] for n in CONFIG_FIELDS}
    assert set(EDIT_FIELDS) < set(CONFIG_FIELDS)


def test_the_config_is_frozen_and_keyword_only() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        GenerationConfig().top_k = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        GenerationConfig(1.0)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("temperature", "hot"),
        ("temperature", None),
        ("top_k", -1),
        ("top_k", 2.5),
        ("top_k", True),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("guidance_scale", float("inf")),
        ("beat_guidance_scale", -1),
        ("num_candidates", 0),
        ("num_candidates", 1.0),
        ("bpm", 39),
        ("bpm", float("nan")),
        ("bpm", "fast"),
        ("level_strength", -1),
        ("level_strength", float("inf")),
        ("bars", 0),
        ("bars", 2.0),
        ("meter", "0/4"),
        ("meter", "6/8"),
        ("meter", 3),
        ("loop", 1),
        ("fade_out", -0.1),
        ("fade_out", float("nan")),
        ("loudness_lufs", 0.5),
        ("loudness_lufs", float("nan")),
        ("loudness_lufs", "loud"),
    ],
)
def test_values_out_of_range_are_refused_in_one_line(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=r"^got .*; expected ") as caught:
        GenerationConfig(**{name: value})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_ends_of_ranges_are_taken() -> None:
    GenerationConfig(temperature=0, top_k=0, top_p=1, guidance_scale=0, beat_guidance_scale=0)
    GenerationConfig(num_candidates=1, bpm=0, loudness_lufs=-60)
    GenerationConfig(bpm=40, loudness_lufs=None)
    assert GenerationConfig(bpm=240.0, loudness_lufs=0.0).bpm == 240.0


def test_lengths_and_endings_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="got a loop that fades out"):
        GenerationConfig(loop=True, fade_out=1)
    with pytest.raises(ConfigError, match="got bars without a beat"):
        GenerationConfig(bars=2, bpm=0)


CALLS: dict[str, Callable[..., object]] = {
    "generate": lambda model, **more: model.generate("calm", 0.2, **more),
    "generate_batch": lambda model, **more: model.generate_batch(["calm"], 0.2, **more),
    "edit": lambda model, **more: model.edit(
        model.generate("", 0.4, num_candidates=1), "0-0.2", **more
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_unknown_settings_are_refused_with_the_valid_names(
    model: bandtok.MusicModel, name: str
) -> None:
    with pytest.raises(ConfigError, match="got unknown setting 'candidates'; expected") as caught:
        CALLS[name](model, candidates=2)
    valid = EDIT_FIELDS if name == "edit" else CONFIG_FIELDS
    assert str(caught.value).endswith("expected " + ", ".join(valid))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_config_of_another_type_is_refused(model: bandtok.MusicModel, name: str) -> None:
    with pytest.raises(ConfigError, match="got a config of type dict; expected a GenerationConfig"):
        CALLS[name](model, config={"top_k": 3})


def test_an_edit_refuses_settings_that_it_does_not_use(model: bandtok.MusicModel) -> None:
    with pytest.raises(ConfigError, match="got unknown setting 'bars'; expected temperature"):
        CALLS["edit"](model, bars=2)


def test_overrides_are_checked_like_the_config(model: bandtok.MusicModel) -> None:
    with pytest.raises(ConfigError, match="got top_p 2; expected"):
        model.generate("calm", 0.2, top_p=2)
