"""Packages of the extra `evaluate`, imported when a measure first needs them.

name of a module -> the module, or a one-line MissingDependency
"""

from __future__ import annotations

import importlib
from types import ModuleType

from bandtok.errors import MissingDependency


def import_extra(module: str, package: str) -> ModuleType:
    """Return a module of an optional package.

    Args:
        module: for example "auraloss.freq".
        package: name under which it is installed, for the message.

    Raises:
        MissingDependency: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingDependency(
            f"this measure needs {package}, which is not installed; "
            "run: pip install 'bandtok[evaluate]'"
        ) from None
