"""A run goes on with its own settings; what is changed is said and recorded."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bandtok.errors import CheckpointError, ConfigError
from bandtok.training.run import RunReport, train
from bandtok.training.run_record import load_record

SMALL = {"steps": "2", "learning_rate": "0.001", "crop_mel_frames": "32", "validation_crops": "1"}


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    soundfile.write(folder / "a.wav", np.random.default_rng(0).normal(0, 0.1, 44_100), 44_100)
    return folder


def resume(
    music: Path, out: Path, settings: dict[str, str] | None = None, **more: Any
) -> list[str]:
    said: list[str] = []
    report = RunReport(warn=said.append)
    kind, recipe = more.pop("recipe", ("vocoder", "debug"))
    train(kind, recipe, data=music, out=out, settings=settings, resume=True, report=report, **more)
    return said


@pytest.fixture
def out(music: Path, tmp_path: Path) -> Path:
    train("vocoder", "debug", data=music, out=tmp_path / "run", settings=SMALL)
    return tmp_path / "run"


def test_a_run_goes_on_with_its_own_settings(music: Path, out: Path) -> None:
    before = (out / "recipe.json").read_bytes()
    assert json.loads(before)["settings"]["learning_rate"] == 0.001
    assert resume(music, out) == []
    assert (out / "recipe.json").read_bytes() == before


def test_changes_are_said_and_recorded(music: Path, out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    soundfile.write(other / "b.wav", np.random.default_rng(1).normal(0, 0.1, 44_100), 44_100)
    said = resume(other, out, {"steps": "3"})
    assert said[0] == "loop.steps is changed from 2 to 3"
    assert said[1].startswith("data is changed from ")
    record = load_record(out)
    assert record is not None
    assert record.settings["loop.steps"] == 3
    assert record.settings["learning_rate"] == 0.001
    (change,) = record.changes
    assert (change["step"], change["loop.steps"]) == (2, [2, 3])


def test_what_cannot_go_on_leaves_the_record(music: Path, out: Path) -> None:
    before = (out / "recipe.json").read_bytes()
    with pytest.raises(ConfigError, match="is a run of vocoder debug; got tokenizer debug"):
        resume(music, out, recipe=("tokenizer", "debug"))
    with pytest.raises(CheckpointError):
        resume(music, out, {"network.model_dim": "24"})
    with pytest.raises(ConfigError, match="no_setting"):
        resume(music, out, {"no_setting": "1"})
    assert (out / "recipe.json").read_bytes() == before
    (out / "recipe.json").write_text(before.decode().replace('"learning_rate"', '"old_name"'))
    with pytest.raises(ConfigError, match="'old_name', which recipe 'debug' does not have"):
        resume(music, out)
    (out / "recipe.json").write_text("[]")
    with pytest.raises(CheckpointError, match="no record of a run"):
        resume(music, out)


@pytest.fixture
def read_only(music: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    access = os.access
    inside = (music, music / ".bandtok-cache")
    monkeypatch.setattr(os, "access", lambda path, mode: path not in inside and access(path, mode))
    return music


def test_music_that_cannot_be_written_beside(read_only: Path, tmp_path: Path) -> None:
    said = resume(read_only, tmp_path / "run", SMALL)
    assert said == [f"{read_only} cannot be written; decoded copies go to {tmp_path}/run/cache"]
    assert len(list((tmp_path / "run" / "cache").iterdir())) == 1


def test_decoded_copies_go_where_they_are_wanted(music: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    music = Path(shutil.copytree(music, tmp_path / "music", ignore=lambda *_: [".bandtok-cache"]))
    train(
        "vocoder", "debug", data=music, out=tmp_path / "run", settings=SMALL,
        cache=tmp_path / "copies", report=RunReport(line=lambda text, _: lines.append(text)),
    )  # fmt: skip
    assert len(list((tmp_path / "copies").iterdir())) == 1
    assert not (music / ".bandtok-cache").exists()
    assert any("MB in" in line and str(tmp_path / "copies") in line for line in lines)


def test_a_recipe_comes_from_a_file(music: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    settings = {"loop.steps": 1, "learning_rate": 0.002, "crop_mel_frames": 32}
    content = {"kind": "vocoder", "recipe": "debug", "settings": settings}
    file.write_text(json.dumps(content))
    train("vocoder", str(file), data=music, out=tmp_path / "a", settings={"batch_size": "1"})
    record = load_record(tmp_path / "a")
    assert record is not None
    assert (record.recipe, record.settings["batch_size"]) == ("debug", 1)
    assert record.settings["learning_rate"] == 0.002
    train("vocoder", str(tmp_path / "a" / "recipe.json"), data=music, out=tmp_path / "b")
    again = load_record(tmp_path / "b")
    assert again is not None
    assert again.settings == record.settings
    file.write_text(json.dumps(content | {"settings": {"nonsense": 1}}))
    for kind, name, message in (
        ("vocoder", file, "'nonsense'"),
        ("tokenizer", file, "for a vocoder"),
        ("vocoder", tmp_path / "missing.json", "no such file"),
    ):
        with pytest.raises(ConfigError, match=message):
            train(kind, str(name), data=music, out=tmp_path / "c")


def test_a_card_says_what_was_trained_on_what(out: Path) -> None:
    card = (out / "model" / "README.md").read_text()
    for text in (
        "# vocoder (debug)", "2 steps from random weights", "--set learning_rate=0.001",
        "0.00 h, 1 tracks (license not stated", "| mel_loss",
    ):  # fmt: skip
        assert text in card
