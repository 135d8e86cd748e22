"""Recipes by kind and name, and from files."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from bandtok.errors import ConfigError
from bandtok.training.recipes import lm as music_lm_recipes
from bandtok.training.recipes import reranker as reranker_recipes
from bandtok.training.recipes import tokenizer as tokenizer_recipes
from bandtok.training.recipes import vocoder as vocoder_recipes
from bandtok.training.run_record import RunRecord, load_record_file
from bandtok.training.settings import describe, meanings, restored


def recipe_modules() -> dict[str, ModuleType]:
    """Return the module of recipes for each kind of network."""
    return {
        "tokenizer": tokenizer_recipes,
        "vocoder": vocoder_recipes,
        "lm": music_lm_recipes,
        "reranker": reranker_recipes,
    }


def recipe_names(kind: str) -> list[str]:
    """Return the recipes of a kind: the module's public functions."""
    module = _recipes(kind)
    return sorted(
        name
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, "__module__", "") == module.__name__
        and not name.startswith("_")
    )


def describe_recipe(kind: str, recipe: str) -> str:
    """Return a recipe's text and one line per setting: path, default and meaning.

    Raises:
        ConfigError: unknown kind or recipe.
    """
    names = recipe_names(kind)
    if recipe not in names:
        raise ConfigError(f"got {kind} recipe {recipe!r}; expected one of {', '.join(names)}")
    function = getattr(_recipes(kind), recipe)
    settings, known = function(), meanings(function())
    lines = [
        f"{path} = {value!r}  {known.get(path, '')}" for path, value in describe(settings).items()
    ]
    return "\n".join([inspect.getdoc(function) or "", "", *(line.rstrip() for line in lines)])


def start_settings(kind: str, recipe: str) -> tuple[str, Any]:
    """Return the name and the settings of a recipe, or those of a recipe.json laid over it.

    Raises:
        ConfigError, CheckpointError: if there is no such recipe or file, or it is another kind's.
    """
    names, values, file = recipe_names(kind), None, Path(recipe)
    if recipe.endswith(".json"):
        record = load_record_file(file)
        if record is None:
            raise ConfigError(f"got recipe {recipe!r}; there is no such file")
        if record.kind != kind:
            raise ConfigError(f"{file} is a recipe for a {record.kind}; got {kind}")
        recipe, values = record.recipe, record.settings
    if recipe not in names:
        raise ConfigError(f"got {kind} recipe {recipe!r}; expected one of {', '.join(names)}")
    settings = getattr(_recipes(kind), recipe)()
    unknown = sorted(set(values or {}) - set(describe(settings)))
    if unknown:
        raise ConfigError(f"{file} has setting {unknown[0]!r}, which recipe {recipe!r} does not")
    return recipe, settings if values is None else restored(settings, values)


def changed_settings(record: RunRecord) -> dict[str, Any]:
    """Return the settings of a run that differ from those of its recipe, by path."""
    usual = describe(getattr(_recipes(record.kind), record.recipe)())
    return {path: value for path, value in record.settings.items() if value != usual[path]}


def _recipes(kind: str) -> ModuleType:
    modules = recipe_modules()
    if kind not in modules:
        raise ConfigError(f"got kind {kind!r}; expected one of {', '.join(modules)}")
    return modules[kind]
