"""Names and first lines of all training recipes, read from their source without importing torch."""

from __future__ import annotations

import ast
from pathlib import Path

import bandtok


def recipe_summaries() -> dict[str, dict[str, str]]:
    """Return, for each kind of network, the first line of every recipe's docstring by name."""
    folder = Path(bandtok.__file__).parent / "training" / "recipes"
    found = {}
    for kind in ("tokenizer", "vocoder", "lm", "reranker"):
        tree = ast.parse((folder / f"{kind}.py").read_text(encoding="utf-8"))
        found[kind] = {
            node.name: (ast.get_docstring(node) or "").split("\n")[0]
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        }
    return found


def recipe_lines() -> list[str]:
    """Return one line per recipe: kind, name and what it is."""
    return [
        f"{kind} {name}: {text}"
        for kind, recipes in recipe_summaries().items()
        for name, text in recipes.items()
    ]
