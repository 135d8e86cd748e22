"""Optional third-party packages: imported when needed, or one line on how to install them."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Literal

from bandtok.errors import MissingDependency

Extra = Literal[
    "data", "evaluate", "export", "hub", "mcp", "plot", "serve", "text", "torch", "train"
]


def require(module: str, extra: Extra) -> ModuleType:
    """Import a module of an optional third-party package.

    Args:
        module: full name of the module.
        extra: the extra of this package that installs it.

    Raises:
        MissingDependency: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error, extra) from None


def missing(error: ImportError, extra: Extra) -> MissingDependency:
    """Return the error for an import that failed because an extra is not installed."""
    name = error.name or str(error)
    return MissingDependency(
        f"{name.partition('.')[0]} is not installed; run: pip install 'bandtok[{extra}]'"
    )
