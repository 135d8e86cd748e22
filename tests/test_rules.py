"""Budgets of the package: size, dependencies, bounds. An exception has a reason and a size.

An exception may shrink but not grow; one that is within the rule again must leave its table.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.budget import functions, sources

LINES_IN_WHEEL = 36_520
LINES_PER_FILE, LINES_PER_FUNCTION, ARGUMENTS = 400, 60, 8

# path: (lines today, reason)
LONG_FILES: dict[str, tuple[int, str]] = {}
# path and function: (lines today, reason)
LONG_FUNCTIONS: dict[str, tuple[int, str]] = {}
# path and function: (arguments today, reason)
MANY_ARGUMENTS = {
    "data/tokenize.py tokenize_corpus": (9, "to take a settings object"),
    "training/run.py train": (10, "one argument per option of the command"),
}
CORE = {
    "numpy",
    "onnxruntime",
    "pillow",
    "rich",
    "safetensors",
    "soundfile",
    "soxr",
    "typer",
}

SOURCES = sources()
PYPROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]


def check(found: dict[str, int], limit: int, exceptions: dict[str, tuple[int, str]]) -> None:
    over = {name: size for name, size in found.items() if size > limit}
    grown = {
        name: f"{size}, allowed {exceptions.get(name, (limit, ''))[0]}"
        for name, size in over.items()
        if size > exceptions.get(name, (limit, ""))[0]
    }
    assert grown == {}
    assert set(exceptions) - set(over) == set(), "within the rule again: remove from the table"


def test_lines_in_the_wheel() -> None:
    assert sum(len(text.splitlines()) for text in SOURCES.values()) <= LINES_IN_WHEEL


def test_lines_per_file() -> None:
    found = {path: len(text.splitlines()) for path, text in SOURCES.items()}
    check(found, LINES_PER_FILE, LONG_FILES)


def test_lines_and_arguments_per_function_outside_the_command_line() -> None:
    lines, arguments = {}, {}
    for path, text in SOURCES.items():
        if not path.startswith("cli/"):
            for name, length, count in functions(text):
                lines[f"{path} {name}"], arguments[f"{path} {name}"] = length, count
    check(lines, LINES_PER_FUNCTION, LONG_FUNCTIONS)
    check(arguments, ARGUMENTS, MANY_ARGUMENTS)


def test_sizes_are_measured() -> None:
    text = "class A:\n    def f(self, a, *, b):\n        def g(c): ...\n        return g\n"
    assert list(functions(text)) == [("A.f", 3, 2), ("A.f.g", 1, 1)]


def test_direct_dependencies_of_the_core() -> None:
    names = {re.split(r"[^\w-]", text)[0] for text in PROJECT["dependencies"]}
    assert names == CORE


def test_dependencies_have_a_lower_and_an_upper_bound_and_no_pin() -> None:
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]:
        assert "==" not in text
        assert text.startswith("bandtok[") or (">=" in text and ",<" in text), text


def test_mypy_is_strict_without_exceptions() -> None:
    settings = PYPROJECT["tool"]["mypy"]
    assert settings["strict"] is True
    assert [name for name, value in settings.items() if value is False] == []
