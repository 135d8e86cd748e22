"""kill -9 at a few random moments; the checks behind it; and that a state is all of a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

import bandtok
from bandtok.data.tokenize import Variants, tokenize_corpus
from bandtok.training.run import RunReport, train
from research.reliability.kill_jobs import Job, file_jobs, make_music, training_jobs, unfinished

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux only"),
]
ROOT = Path(__file__).parents[3]


def test_a_few_kills_are_survived(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "research.reliability.kills", "--kills", "6"]
    sizes = ["--jobs", "encode,tokenizer", "--tracks", "4", "--steps", "4", "--fresh-every", "0"]
    paths = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    ended = subprocess.run(
        [*command, *sizes, "--write", str(tmp_path / "kills.md")],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["problems"] == []
    assert int(result["jobs"][-1]["kills"]) >= 6
    assert "| all |" in (tmp_path / "kills.md").read_text()


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_music(tmp_path_factory.mktemp("sounds") / "music", 3, 2.0)


@pytest.fixture(scope="module")
def shards(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    tokenize_corpus(
        music, bandtok.Tokenizer.from_pretrained("debug"), folder, variants=Variants(count=2)
    )
    return folder


class Killed(BaseException):
    """Stands in for a kill: the loop neither saves nor closes."""


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("tokenizer", {"discriminator_start_step": "3"}),
        ("vocoder", {"discriminator_start_step": "2"}),
        ("vocoder", {"tokenizer": "debug", "decoded_mel_prob": "0.5"}),
        ("lm", {"dropout": "0.2", "caption_dropout": "0.3", "infill_prob": "0.5"}),
    ],
)
def test_killed_at_several_steps_equals_never_stopped(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, changed: dict[str, str]
) -> None:
    torch.set_num_threads(1)
    data = request.getfixturevalue("shards" if kind == "lm" else "music")
    settings = {"steps": "6", "save_every": "1", "log_every": "1", "validate_every": "9", **changed}
    train(kind, "debug", data=data, out=tmp_path / "whole", settings=settings)

    def kill_at(last: int) -> Callable[[int, int, dict[str, float]], None]:
        def report(step: int, _total: int, _numbers: dict[str, float]) -> None:
            if step == last:
                raise Killed

        return report

    for step in (2, 3, 5, 6):  # dies before the state of `step` is written
        report = RunReport(training=kill_at(step))
        with pytest.raises(Killed):
            train(kind, "debug", data=data, out=tmp_path / "cut", settings=settings,
                  resume=True, report=report)  # fmt: skip
    train(kind, "debug", data=data, out=tmp_path / "cut", settings=settings, resume=True)
    job = training_jobs_without_music(tmp_path, kind)
    assert job.differences(tmp_path / "cut", tmp_path / "whole") == []


def training_jobs_without_music(work: Path, kind: str) -> Job:
    return training_jobs(work / "unused", work, steps=1)[kind]


def test_a_changed_bit_of_a_run_is_noticed(music: Path, tmp_path: Path) -> None:
    for out in ("one", "other"):
        train("vocoder", "debug", data=music, out=tmp_path / out, settings={"steps": "1"})
    job = training_jobs_without_music(tmp_path, "vocoder")
    assert job.differences(tmp_path / "one", tmp_path / "other") == []
    state = tmp_path / "one" / "state" / "step-00000001"
    tensors = {
        name: tensor.clone() for name, tensor in load_file(state / "tensors.safetensors").items()
    }
    name = next(name for name in tensors if name.startswith("optimizer.") and name.endswith("sq"))
    tensors[name].view(torch.int32).view(-1)[0] ^= 1
    (state / "tensors.safetensors").unlink()  # it is mapped into memory
    save_file(tensors, state / "tensors.safetensors")
    assert job.differences(tmp_path / "one", tmp_path / "other") == [
        f"step-00000001: tensor {name} differs"
    ]
    assert job.half(tmp_path / "one", tmp_path / "other") == []
    (state / "state.json").unlink()
    assert job.half(tmp_path / "one", tmp_path / "other")


def test_half_and_foreign_files_are_noticed(shards: Path, tmp_path: Path) -> None:
    job = file_jobs(tmp_path, tracks=1)["tokenize"]
    out = tmp_path / "out"
    shutil.copytree(shards, out)
    assert job.half(out, shards) == job.differences(out, shards) == []
    first = sorted((out / "codes").iterdir())[0]
    (out / "codes" / ".0123.part.npy").write_bytes(first.read_bytes()[:100])
    assert [path.name for path in unfinished(tmp_path)] == [".0123.part.npy"]
    assert job.half(out, shards) == []
    whole = first.read_bytes()
    first.write_bytes(whole[:-1])
    assert any(first.name in line for line in job.half(out, shards))
    first.unlink()
    assert f"codes/{first.name} is missing" in job.differences(out, shards)


def test_music_is_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        make_music(tmp_path / folder, 2, 0.1)
    one, other = (soundfile.read(tmp_path / folder / "01.wav")[0] for folder in ("one", "other"))
    np.testing.assert_array_equal(one, other)
