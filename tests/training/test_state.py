"""A state is there whole or not at all, and a run that was killed at its end or start goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load, load_file
from torch import nn

from bandtok.training.run import train
from bandtok.training.state import has_state, load_state, save_state


class Killed(BaseException):
    """Stands in for a kill: nothing may clean up after it."""


def _die_at(call: int, function: Callable[..., Any]) -> Callable[..., Any]:
    calls = [0]

    def dying(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            raise Killed
        return function(*arguments, **named)

    return dying


@pytest.mark.parametrize("name", ["replace", "unlink", "rmdir", "fsync"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_kill_while_saving_leaves_whole_states_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    module = nn.Linear(2, 2)
    save_state(tmp_path, 1, {"a": module}, {}, {})
    save_state(tmp_path, 2, {"a": module}, {}, {})
    with monkeypatch.context() as patched:
        patched.setattr(os, name, _die_at(call, getattr(os, name)))
        patched.setattr(shutil, "rmtree", _slow_rmtree)
        for step in (2, 3, 4):
            try:
                save_state(tmp_path, step, {"a": module}, {}, {})
            except Killed:
                break
    states = sorted(tmp_path.glob("step-*"))
    assert states
    assert all(len(list(state.iterdir())) == 2 for state in states)
    assert load_state(tmp_path, {"a": module}, {})
    assert not list(tmp_path.glob(".*"))


def _slow_rmtree(folder: Path) -> None:
    """As shutil's, through os.unlink and os.rmdir, where a kill may fall in between."""
    for path in folder.iterdir():
        os.unlink(path)
    os.rmdir(folder)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    for index in range(2):
        soundfile.write(folder / f"{index}.wav", rng.normal(0, 0.1, 60_000), 44_100)
    return folder


@pytest.mark.slow
def test_a_run_killed_between_its_last_state_and_its_last_model(
    music: Path, tmp_path: Path
) -> None:
    train("tokenizer", "debug", data=music, out=tmp_path)
    weights = tmp_path / "model" / "model.safetensors"
    whole = load(weights.read_bytes())
    weights.write_bytes(b"of an earlier step")
    result = train("tokenizer", "debug", data=music, out=tmp_path, resume=True)
    again = load(weights.read_bytes())
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())
    assert result.finished
    assert result.validation


@pytest.mark.slow
def test_a_run_killed_before_its_first_state_starts_from_the_same_weights(
    music: Path, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    settings = {"steps": "1"}
    train("vocoder", "debug", data=music, out=tmp_path / "first", settings={"steps": "2"})
    for out, minutes in (("whole", None), ("cut", 0.0)):
        train(
            "vocoder", "debug", data=music, out=tmp_path / out, init=str(tmp_path / "first"),
            settings=settings, max_minutes=minutes,
        )  # fmt: skip
    assert not has_state(tmp_path / "cut" / "state")
    train(
        "vocoder", "debug", data=music, out=tmp_path / "cut", init=str(tmp_path / "first"),
        settings=settings, resume=True,
    )  # fmt: skip
    whole, cut = (
        load_file(tmp_path / out / "model" / "model.safetensors") for out in ("whole", "cut")
    )
    assert all(torch.equal(cut[name], tensor) for name, tensor in whole.items())
