"""Text settings such as ``steps=500`` or ``network.code_dim=8`` laid over a recipe."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bandtok.errors import BandTokError, ConfigError


def override(recipe: Any, settings: Mapping[str, str]) -> Any:
    """Return a copy of a nested frozen dataclass with fields replaced.

    Args:
        recipe: dataclass whose fields may be dataclasses.
        settings: field name, or dotted path where the name is not unique, to its new value as text.

    Raises:
        ConfigError: for an unknown or ambiguous name, or a value of another type.
    """
    for name, text in settings.items():
        paths = [p for p in _paths(recipe) if p == name or p.endswith("." + name)]
        exact = [p for p in paths if p == name]
        paths = exact or paths
        if len(paths) != 1:
            found = f"could be {', '.join(paths)}" if paths else "is no setting of this recipe"
            raise ConfigError(f"--set {name}: {found}; expected one of {', '.join(_paths(recipe))}")
        recipe = _replaced(recipe, paths[0].split("."), text)
    return recipe


def restored(recipe: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    """Return a copy of a nested dataclass with the values that `describe` gave, read from JSON."""
    fields = {}
    for field in dataclasses.fields(recipe):
        path, current = prefix + field.name, getattr(recipe, field.name)
        if dataclasses.is_dataclass(current):
            fields[field.name] = restored(current, values, f"{path}.")
        else:
            fields[field.name] = _tuples(values.get(path, current))
    return dataclasses.replace(recipe, **fields)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def describe(recipe: Any) -> dict[str, Any]:
    """Return every setting by dotted path."""
    return {path: _value(recipe, path.split(".")) for path in _paths(recipe)}


def meanings(recipe: Any, prefix: str = "") -> dict[str, str]:
    """Return the descriptions of settings from docstrings of nested dataclasses, by path."""
    found = {}
    for owner in reversed(type(recipe).__mro__):
        attributes = re.split(r"(?:Args|Attributes):\n", inspect.getdoc(owner) or "")[-1]
        for names, text in re.findall(r"^    (\w+(?:, \w+)*): (.+(?:\n {8}.+)*)", attributes, re.M):
            for name in names.split(", "):
                found[prefix + name] = " ".join(text.split())
    for field in dataclasses.fields(recipe):
        inner = getattr(recipe, field.name)
        if dataclasses.is_dataclass(inner):
            found |= meanings(inner, f"{prefix}{field.name}.")
    return found


def _paths(value: Any, prefix: str = "") -> Iterator[str]:
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if dataclasses.is_dataclass(inner):
            yield from _paths(inner, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def _value(value: Any, path: list[str]) -> Any:
    for name in path:
        value = getattr(value, name)
    return value


def _replaced(value: Any, path: list[str], text: str) -> Any:
    name, *rest = path
    current = getattr(value, name)
    new = _replaced(current, rest, text) if rest else _parsed(text, current, name)
    try:
        return dataclasses.replace(value, **{name: new})
    except BandTokError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--set {name}={text}: {error}") from None


def _parsed(text: str, current: Any, name: str) -> Any:
    """Read `text` as the type of the current value; None may become a number."""
    if isinstance(current, str):
        return text
    try:
        new = json.loads(text.lower() if text in ("True", "False", "None") else text)
    except ValueError:
        new = None if text.lower() == "none" else text
    if isinstance(current, tuple) and isinstance(new, list):
        return tuple(new)
    if isinstance(current, float) and isinstance(new, int) and not isinstance(new, bool):
        return float(new)
    optional = current is None or new is None
    if not optional and type(new) is not type(current):
        raise ConfigError(
            f"--set {name}={text}: expected a {type(current).__name__} such as {current!r}"
        )
    return new
