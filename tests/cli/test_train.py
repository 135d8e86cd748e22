"""`bandtok train` hands its arguments on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import Result

from bandtok.errors import TrainingError

Run = Callable[..., Result]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Replace the training code by a recorder."""
    recorded: list[dict[str, object]] = []
    module = SimpleNamespace(train=lambda **arguments: recorded.append(arguments))
    monkeypatch.setitem(sys.modules, "bandtok.training.run", module)
    return recorded


def test_arguments_are_handed_on(run: Run, tmp_path: Path, calls: list[dict[str, object]]) -> None:
    out = tmp_path / "run"
    settings = ["--set", "batch_size=2", "--set", "name=a=b", "--max-minutes", "1.5", "--resume"]
    result = run("train", "lm", "tiny", "--data", tmp_path, "--out", out, *settings, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"kind": "lm", "recipe": "tiny", "out": str(out)}
    (call,) = calls
    assert callable(call.pop("progress"))
    assert call == {
        "kind": "lm",
        "recipe": "tiny",
        "data": tmp_path,
        "out": out,
        "resume": True,
        "overrides": {"batch_size": "2", "name": "a=b"},
        "max_minutes": 1.5,
    }


def test_missing_data_is_wrong_usage(
    run: Run, tmp_path: Path, calls: list[dict[str, object]]
) -> None:
    result = run("train", "vocoder", "tiny", "--data", tmp_path / "none", "--out", tmp_path)
    assert result.exit_code == 2
    assert calls == []


def test_a_failed_run_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise TrainingError("the loss is not finite")

    monkeypatch.setitem(sys.modules, "bandtok.training.run", SimpleNamespace(train=fail))
    result = run("train", "tokenizer", "tiny", "--data", tmp_path, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr == "bandtok: the loss is not finite\n"
