"""The whole set at scale tiny: every experiment from sounds to result files, and a second time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Ran

from bandtok.errors import ConfigError, TrainingError
from bandtok.signal.audio import load_audio
from bandtok.tokens.grid import TokenGrid
from bandtok.training.loop import LoopResult
from research.claims import training
from research.claims.__main__ import app
from research.claims.catalogue import EXPERIMENTS
from research.claims.run import open_store, run_experiments, run_row
from research.claims.run_store import RunStore
from research.claims.study_prediction import MODELS

pytestmark = pytest.mark.slow

KEYS = ["name", "title", "question", "answer", "command", "minutes", "seeds", "scale"]
COMMAND = "python -m research.claims {name} --scale tiny --runs RUNS"


@dataclass(frozen=True)
class Whole:
    """A finished run of everything."""

    runs: Path
    out: Path
    said: list[str]
    documents: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    said: list[str] = []
    store = open_store(None, folder / "runs", "tiny", say=said.append)
    run_experiments(store, ["all"], folder / "out", command=COMMAND)
    documents = {
        name: json.loads((folder / "out" / f"{name}.json").read_text()) for name in EXPERIMENTS
    }
    return Whole(runs=folder / "runs", out=folder / "out", said=said, documents=documents)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_result_is_whole(whole: Whole, name: str) -> None:
    document = whole.documents[name]
    assert list(document) == [*KEYS, "tables", "plots", "clips"]
    assert document["name"] == name
    assert document["scale"] == "tiny"
    assert document["command"] == COMMAND.format(name=name)
    assert document["seeds"] == list(EXPERIMENTS[name].seeds(whole_scale(whole)))
    assert "Claim:" in document["answer"]
    assert "mean nothing" in document["answer"]
    assert "interval [" in document["answer"] or name == "generation"
    for table in document["tables"]:
        assert set(table) == {"title", "columns", "rows"}
        assert table["rows"]
        for row in table["rows"]:
            assert len(row) == len(table["columns"])
            assert all(isinstance(cell, str) for cell in row)
    assert "nan" not in json.dumps(document["tables"]).lower()
    for plot in document["plots"]:
        assert plot.startswith(f"{name}-")
        assert (whole.out / plot).read_text().startswith("<?xml")
    page = (whole.out / f"{name}.md").read_text()
    assert page.startswith(f"# {document['title']}\n")
    assert document["answer"] in page


def whole_scale(whole: Whole) -> Any:
    return open_store(None, whole.runs, "tiny").scale


def test_no_path_of_this_machine_is_in_the_results(whole: Whole) -> None:
    for file in whole.out.iterdir():
        if file.suffix in (".json", ".md", ".svg"):
            assert str(whole.runs.parent) not in file.read_text()


@pytest.mark.parametrize("name", ["reconstruction", "generation"])
def test_clips_can_be_heard_and_seen(whole: Whole, name: str) -> None:
    clips = whole.documents[name]["clips"]
    assert clips
    for clip in clips:
        assert set(clip) == {"title", "group", "system", "prompt", "audio", "picture", "tokens"}
        assert clip["audio"].startswith(f"{name}/")
        sound = load_audio(whole.out / clip["audio"])
        assert sound.waveform.any()
        assert (whole.out / clip["picture"]).read_bytes().startswith(b"\x89PNG")
        if clip["system"] == "original":
            assert clip["tokens"] == ""
        else:
            grid = TokenGrid.load(whole.out / clip["tokens"])
            assert grid.seconds == pytest.approx(sound.seconds, abs=0.1)
            assert str(whole.runs.parent) not in grid.model_id
    groups = {clip["group"] for clip in clips}
    for group in groups:
        assert len({clip["system"] for clip in clips if clip["group"] == group}) >= 3
    if name == "generation":
        assert any(clip["prompt"] for clip in clips)


def test_every_system_order_and_position_has_its_line(whole: Whole) -> None:
    table = whole.documents["prediction"]["tables"][0]
    models = [(row[0], row[1]) for row in table["rows"]]
    for name in MODELS:
        for seed in ("0", "1", "all"):
            assert (name, seed) in models
    config = json.loads(
        (whole.runs / "tiny" / "lm-residual-2d-delay-0" / "model" / "config.json").read_text()
    )
    assert config["config"]["order"] == "delay"
    assert not config["config"]["rows_share_codes"]  # a code means something else in each layer


def test_profiles_have_a_line_for_each_token_index(whole: Whole) -> None:
    summary, by_frames, band, residual, _ = whole.documents["independence"]["tables"]
    assert len(by_frames["rows"]) == 3
    assert [len(table["rows"]) for table in (summary, band, residual)] == [6, 16, 16]
    frames = {
        json.loads(file.read_text())["found"]["frames"]
        for file in (whole.runs / "tiny" / "measures").glob("independence-*.json")
    }
    assert len(frames) == 1  # equal counts, or mutual information does not compare


def test_errors_are_measured_for_all_counts_and_chance(whole: Whole) -> None:
    tokens, mel, _ = whole.documents["errors"]["tables"]
    assert [row[2] for row in tokens["rows"]] == ["1", "2", "4", "8"] * 8
    assert len({row[0] for row in tokens["rows"]}) == 4
    assert [row[0] for row in mel["rows"]] == ["1", "2", "4", "8", "16"]


def test_a_second_time_nothing_is_done_again(whole: Whole, tmp_path: Path) -> None:
    assert "training band-0" in whole.said
    assert whole.said.count("training band-0") == 1
    said: list[str] = []
    store = open_store(None, whole.runs, "tiny", say=said.append)
    names = ["prediction", "independence", "errors", "codebook", "data-size"]
    run_experiments(store, names, tmp_path, command=COMMAND)
    assert said == []
    for name in names:
        assert json.loads((tmp_path / f"{name}.json").read_text()) == whole.documents[name]


def test_a_missing_measure_is_made_again_alone(whole: Whole, tmp_path: Path) -> None:
    shutil.copytree(whole.runs, tmp_path / "runs", symlinks=True)
    (tmp_path / "runs" / "tiny" / "measures" / "errors-lm-band-2d-0.json").unlink()
    said: list[str] = []
    store = open_store(None, tmp_path / "runs", "tiny", say=said.append)
    run_experiments(store, ["errors"], tmp_path / "out", command=COMMAND)
    assert said == ["measuring errors-lm-band-2d-0"]
    new = json.loads((tmp_path / "out" / "errors.json").read_text())
    assert new["tables"] == whole.documents["errors"]["tables"]


def test_a_row_that_came_out_otherwise_is_measured_anew(whole: Whole, tmp_path: Path) -> None:
    shutil.copytree(whole.runs, tmp_path / "runs", symlinks=True)
    done = tmp_path / "runs" / "tiny" / "ablation-gradient-1" / "done.json"
    numbers = json.loads(done.read_text())
    done.write_text(json.dumps({**numbers, "mel_loss": 9.0}) + "\n")
    said: list[str] = []
    store = open_store(None, tmp_path / "runs", "tiny", say=said.append)
    run_experiments(store, ["codebook"], tmp_path / "out", command=COMMAND)
    assert said == ["measuring reconstruction-ablation-gradient-1"]


@pytest.fixture
def run() -> Callable[..., Ran]:
    """Run the program in this process; returns exit code, stdout and stderr."""
    return lambda *arguments: CliRunner().invoke(app, [str(one) for one in arguments])


def test_the_command_writes_results_and_tells_the_answer(
    whole: Whole, run: Callable[..., Ran], tmp_path: Path
) -> None:
    options = ("--scale", "tiny", "--runs", whole.runs, "--output", tmp_path)
    ran = run("codebook", "positions", *options)
    assert ran.exit_code == 0
    for name in ("codebook", "positions"):
        document = json.loads((tmp_path / f"{name}.json").read_text())
        assert f"{name}.md: {document['answer']}" in ran.stdout
        assert document["command"] == f"python -m research.claims {name} --runs RUNS --scale tiny"
        assert document["tables"] == whole.documents[name]["tables"]
    as_json = run("codebook", *options, "--json", "--quiet")
    (result,) = json.loads(as_json.stdout)["results"]
    assert result["findings"]["answer"] == whole.documents["codebook"]["answer"]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return open_store(None, tmp_path / "runs", "tiny")


def test_a_row_can_be_trained_alone_and_goes_on_where_it_stopped(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = training.train

    def stopped(*arguments: Any, **options: Any) -> LoopResult:
        return real(*arguments, **{**options, "max_minutes": 0.0})

    monkeypatch.setattr(training, "train", stopped)
    with pytest.raises(TrainingError, match="stopped band-0 at step 0; run again"):
        run_row(store, "band-0")
    assert not (store.folder / "band-0" / "done.json").exists()
    monkeypatch.setattr(training, "train", real)
    row = run_row(store, "band-0")
    assert row.steps == 3
    assert row.minutes >= 0
    assert not (row.folder / "state").exists()  # large, and of no more use
    monkeypatch.setattr(training, "train", stopped)
    assert run_row(store, "band-0") == row
    with pytest.raises(ConfigError, match="got row 'band-9'; expected one of band-0"):
        run_row(store, "band-9")


def test_a_run_of_other_settings_is_not_taken_over(store: RunStore) -> None:
    run_row(store, "band-0")
    begun = store.folder / "band-0" / "begun.json"
    begun.write_text(begun.read_text().replace('"loop.steps": "3"', '"loop.steps": "4"'))
    with pytest.raises(ConfigError, match="begun with another settings"):
        run_row(store, "band-0")


def test_the_command_lists_and_trains_rows(run: Callable[..., Ran], tmp_path: Path) -> None:
    listed = run("list", "--scale", "full", "--json")
    assert listed.exit_code == 0
    document = json.loads(listed.stdout)
    assert [one["name"] for one in document["experiments"]] == list(EXPERIMENTS)
    assert document["estimated_minutes"] > 100
    plain = run("list")
    assert "on two CPU cores" in plain.stdout
    options = ("--scale", "tiny", "--runs", tmp_path, "--quiet")
    trained = run("codebook", "--row", "ablation-gradient-0", *options)
    assert trained.exit_code == 0
    assert "ablation-gradient-0: step 3" in trained.stdout
    assert run("singing", *options).exit_code == 1
