"""A way to run the program, as for the command-line tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from bandtok.cli.main import app


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run the program in this process; returns exit code, stdout and stderr."""
    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])
