"""`bandtok train` hands its arguments on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from bandtok.errors import TrainingError
from bandtok.training import run as runs
from bandtok.training.find_recipe import recipe_modules, recipe_names
from bandtok.training.loop import LoopResult

Run = Callable[..., Result]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Replace the training code by a recorder."""
    recorded: list[dict[str, object]] = []

    def train(kind: str, recipe: str, **arguments: Any) -> LoopResult:
        recorded.append({"kind": kind, "recipe": recipe, **arguments})
        arguments["report"].preparing(1, 2)
        arguments["report"].line("step 1/2, loss 0.5", False)
        arguments["report"].warn("a track is broken")
        return LoopResult(step=7, validation={"mel_loss": 0.25}, finished=False)

    monkeypatch.setattr(runs, "train", train)
    return recorded


def test_arguments_are_handed_on(run: Run, tmp_path: Path, calls: list[dict[str, object]]) -> None:
    out = tmp_path / "run"
    settings = ["--set", "batch_size=2", "--set", "name=a=b", "--max-minutes", "1.5", "--resume"]
    settings += ["--device", "cpu", "--cache", str(tmp_path)]
    result = run("train", "lm", "tiny", "--data", tmp_path, "--output", out, *settings, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "kind": "lm",
        "recipe": "tiny",
        "out": str(out),
        "step": 7,
        "validation": {"mel_loss": 0.25},
        "finished": False,
    }
    assert result.stderr == "bandtok: a track is broken\n"
    (call,) = calls
    call.pop("report")
    assert call == {
        "kind": "lm",
        "recipe": "tiny",
        "data": [tmp_path],
        "out": out,
        "resume": True,
        "init": None,
        "settings": {"batch_size": "2", "name": "a=b", "device": "cpu"},
        "max_minutes": 1.5,
        "cache": tmp_path,
    }


def test_the_result_for_people(run: Run, tmp_path: Path, calls: list[dict[str, object]]) -> None:
    out = tmp_path / "run"
    result = run("train", "vocoder", "tiny", "--data", tmp_path, "--output", out, "--init", "debug")
    assert result.stdout == f"{out}: step 7, mel_loss 0.25, stopped; go on with --resume\n"
    assert calls[0]["init"] == "debug"


def test_missing_data_is_wrong_usage(
    run: Run, tmp_path: Path, calls: list[dict[str, object]]
) -> None:
    result = run("train", "vocoder", "tiny", "--data", tmp_path / "none", "--output", tmp_path)
    assert result.exit_code == 2
    assert calls == []


def test_a_failed_run_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TrainingError("the loss is not finite")

    monkeypatch.setattr(runs, "train", fail)
    result = run("train", "tokenizer", "tiny", "--data", tmp_path, "--output", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr == "bandtok: the loss is not finite\n"


def test_recipes_are_listed_with_what_they_are(run: Run) -> None:
    listed = run("train", "--list")
    names = [line.split(":")[0] for line in listed.stdout.splitlines()]
    assert sorted(names) == sorted(
        f"{kind} {name}" for kind in recipe_modules() for name in recipe_names(kind)
    )
    assert all(line.split(": ", 1)[1] for line in listed.stdout.splitlines())
    shown = run("train", "--help").stdout
    assert all(name in shown for name in names)


def test_a_recipe_is_described_setting_by_setting(run: Run) -> None:
    described = run("train", "tokenizer", "default", "--describe")
    assert described.exit_code == 0
    lines = described.stdout.splitlines()
    assert "batch_size = 6  crops per step." in lines
    assert any(line.startswith("loop.steps = 5400  ") for line in lines)
    assert "Expected: mel_loss" in described.stdout
    assert run("train", "--describe").exit_code == 2
    assert run("train", "lm", "none", "--describe").exit_code in (1, 2)
