"""The fixtures of `tests/server/fixtures.py`, where the extra `serve` is installed."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("fastapi") and importlib.util.find_spec("uvicorn"):
    from tests.server.fixtures import app, client, gate, model, settings, song, url  # noqa: F401
else:
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header() -> str | None:
    """Say that the tests are left out."""
    missing = "collect_ignore_glob" in globals()
    return "tests/server is left out: it needs bandtok[serve]" if missing else None
