"""The loop: resuming, stopping, and what it refuses."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim import SGD, Optimizer

import bandtok
from bandtok.errors import CheckpointError, ConfigError, TrainingError
from bandtok.model_specs import TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.tokenizer.residual_config import ResidualConfig
from bandtok.torch_checkpoint import load_network, network_fingerprint
from bandtok.training.find_recipe import recipe_modules, recipe_names
from bandtok.training.loop import LoopConfig, rate_scale, read_metrics, run_loop, update
from bandtok.training.run import RunReport, train
from bandtok.training.settings import override
from bandtok.training.state import load_state, save_state


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    for index in range(3):
        samples = rng.normal(0, 0.1, 3 * 44_100)
        soundfile.write(folder / f"{index}.wav", samples, 44_100)
    return folder


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(sorted((run / "state").glob("step-*"))[-1] / "tensors.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "recipe", "changed"),
    [
        ("tokenizer", "debug", {}),
        ("tokenizer", "debug", {"quantizer_type": "gradient", "predictability_weight": "0.1"}),
        (
            "tokenizer",
            "debug",
            {"quantizer_type": "simvq", "rotation": "true", "smoothness_weight": "0.1"},
        ),
        ("tokenizer", "debug", {"quantizer_type": "lattice", "network.code_dim": "3"}),
        ("tokenizer", "residual_debug", {"layer_dropout": "0.5"}),
        (
            "tokenizer",
            "residual_debug",
            {"quantizer_type": "gradient", "predictability_weight": "0.1"},
        ),
        ("vocoder", "debug", {}),
    ],
)
def test_resumed_equals_never_stopped(
    music: Path, tmp_path: Path, kind: str, recipe: str, changed: dict[str, str]
) -> None:
    torch.set_num_threads(1)
    settings = {"steps": "6", "validate_every": "3", **changed}
    train(kind, recipe, data=music, out=tmp_path / "whole", settings=settings)
    stopped = train(
        kind, recipe, data=music, out=tmp_path / "cut", settings=settings, max_minutes=0
    )
    assert stopped.step == 0
    assert not stopped.finished
    _stop_after(music, tmp_path / "cut", kind, recipe, settings, steps=3)
    result = train(kind, recipe, data=music, out=tmp_path / "cut", settings=settings, resume=True)
    assert result.finished
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    for name, tensor in whole.items():
        assert torch.equal(tensor, cut[name]), name


def _stop_after(
    music: Path, out: Path, kind: str, recipe: str, settings: dict[str, str], steps: int
) -> None:
    """Interrupt a run of the full length after a few steps."""

    def interrupt(step: int, _total: int, _numbers: dict[str, float]) -> None:
        if step == steps:
            os.kill(os.getpid(), signal.SIGINT)

    report = RunReport(training=interrupt)
    settings = {**settings, "log_every": "1"}
    result = train(kind, recipe, data=music, out=out, settings=settings, report=report)
    assert result.step == steps


def test_music_of_several_folders_is_put_together(music: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    soundfile.write(more / "a.wav", np.random.default_rng(5).normal(0, 0.1, 44_100), 44_100)
    settings, ready = {"steps": "1"}, []
    report = RunReport(preparing=lambda done, total: ready.append((done, total)))
    out = tmp_path / "run"
    train("tokenizer", "debug", data=[music, more], out=out, settings=settings, report=report)
    assert sum(done == total for done, total in ready) >= 3
    with pytest.raises(ConfigError, match="got 2 folders of shards"):
        train("lm", "debug", data=[music, more], out=tmp_path / "lm")


@pytest.mark.slow
def test_a_run_leaves_a_model_pictures_and_numbers(music: Path, tmp_path: Path) -> None:
    train("tokenizer", "debug", data=music, out=tmp_path / "run")
    tokenizer = bandtok.Tokenizer.from_pretrained(tmp_path / "run", vocoder="debug")
    assert tokenizer.codebook_size == 64
    assert list((tmp_path / "run" / "images").glob("*.png"))
    lines = read_metrics(tmp_path / "run")
    assert {"train", "valid"} == {line["part"] for line in lines}
    assert all(np.isfinite(v) for line in lines for v in line.values() if v != line["part"])
    with pytest.raises(ConfigError, match="--resume"):
        train("tokenizer", "debug", data=music, out=tmp_path / "run")


@pytest.mark.slow
def test_a_residual_run_leaves_a_tokenizer_for_every_use(music: Path, tmp_path: Path) -> None:
    train("tokenizer", "residual_debug", data=music, out=tmp_path / "first")
    tokenizer = bandtok.Tokenizer.from_pretrained(tmp_path / "first", vocoder="debug")
    assert isinstance(tokenizer.config, ResidualConfig)
    last = [line for line in read_metrics(tmp_path / "first") if line["part"] == "valid"][-1]
    layers = [last[f"entropy_bits_{index:02}"] for index in range(16)]
    assert last["entropy_bits"] == pytest.approx(np.mean(layers), abs=1e-3)
    assert all(1 <= last[f"codes_used_{index:02}"] <= 64 for index in range(16))
    start = {"init": str(tmp_path / "first"), "data": music}
    train(
        "tokenizer", "residual_debug", out=tmp_path / "second",
        settings={"freeze_codes": "true", "steps": "2"}, **start,
    )  # fmt: skip
    second = load_network(TOKENIZER_SPEC, tmp_path / "second")
    assert network_fingerprint(second) == tokenizer.fingerprint
    with pytest.raises(CheckpointError, match="tensor"):
        train("tokenizer", "debug", out=tmp_path / "third", **start)
    short = {"steps": "1", "tokenizer": str(tmp_path / "first")}
    train("vocoder", "debug", data=music, out=tmp_path / "vocoder", settings=short)
    sizes = {"model_dim": "32", "num_blocks": "2", "expansion": "2", "num_corrections": "1"}
    small = {"batch_size": "2", "crop_mel_frames": "32", "validation_crops": "2"}
    train(
        "vocoder", "joint", data=music, out=tmp_path / "joint",
        settings={**sizes, **short, **small},
    )  # fmt: skip
    joint = bandtok.Tokenizer.from_pretrained(tmp_path / "joint")
    assert joint.fingerprint == tokenizer.fingerprint


@pytest.mark.slow
def test_training_from_weights_alone(music: Path, tmp_path: Path) -> None:
    train("vocoder", "debug", data=music, out=tmp_path / "first")
    settings = {"steps": "1"}
    second = train(
        "vocoder", "debug", data=music, out=tmp_path / "second",
        init=str(tmp_path / "first"), settings=settings,
    )  # fmt: skip
    assert second.step == 1


@pytest.mark.slow
def test_joint_training_moves_both_and_keeps_the_codes(music: Path, tmp_path: Path) -> None:
    train("tokenizer", "debug", data=music, out=tmp_path / "tokenizer")
    train("vocoder", "debug", data=music, out=tmp_path / "vocoder")
    sizes = {"model_dim": "32", "num_blocks": "2", "expansion": "2", "num_corrections": "1"}
    short = {"steps": "2", "batch_size": "2", "crop_mel_frames": "32", "validation_crops": "2"}
    train(
        "vocoder", "joint", data=music, out=tmp_path / "joint", init=str(tmp_path / "vocoder"),
        settings={**sizes, **short, "tokenizer": str(tmp_path / "tokenizer")},
    )  # fmt: skip
    for kind, moved in ((TOKENIZER_SPEC, "decoder.out.weight"), (VOCODER_SPEC, "spectrum.weight")):
        before = load_network(kind, tmp_path / kind.name).state_dict()
        after = load_network(kind, tmp_path / "joint").state_dict()
        assert not torch.equal(before[moved], after[moved])
    fingerprints = {
        network_fingerprint(load_network(TOKENIZER_SPEC, tmp_path / run))
        for run in ("tokenizer", "joint")
    }
    assert len(fingerprints) == 1


@pytest.mark.slow
def test_a_new_codebook_size_can_start_from_old_weights(music: Path, tmp_path: Path) -> None:
    train("tokenizer", "debug", data=music, out=tmp_path / "first")
    train(
        "tokenizer", "debug", data=music, out=tmp_path / "second",
        init=str(tmp_path / "first"), settings={"codebook_size": "32", "quantize_start_step": "0"},
    )  # fmt: skip
    assert load_network(TOKENIZER_SPEC, tmp_path / "second").config.codebook_size == 32


@pytest.mark.slow
def test_frozen_codes_stay_frozen(music: Path, tmp_path: Path) -> None:
    train("tokenizer", "debug", data=music, out=tmp_path / "first")
    train(
        "tokenizer", "debug", data=music, out=tmp_path / "second",
        init=str(tmp_path / "first"), settings={"freeze_codes": "true"},
    )  # fmt: skip
    before = load_network(TOKENIZER_SPEC, tmp_path / "first")
    after = load_network(TOKENIZER_SPEC, tmp_path / "second")
    assert network_fingerprint(before) == network_fingerprint(after)
    assert not torch.equal(before.decoder.out.weight, after.decoder.out.weight)


class ExplodingTask:
    """One weight whose loss turns to infinity at step 2."""

    kind = "vocoder"

    def __init__(self) -> None:
        self.network: nn.Module = nn.Linear(1, 1)
        self.modules: Mapping[str, nn.Module] = {"network": self.network}
        self.optimizers: Mapping[str, Optimizer] = {"network": SGD(self.network.parameters(), 0.1)}

    def step(self, step: int) -> dict[str, float]:
        scale = float("inf") if step == 2 else 1.0
        loss = (self.network(torch.ones(1, 1)) * scale).square().sum()
        norm = update(loss, self.network, self.optimizers["network"])
        return {"loss": float(loss.detach()), "norm": norm}

    def validate(self, network: nn.Module) -> dict[str, float]:
        return {}

    def log_images(self, network: nn.Module) -> dict[str, np.ndarray]:
        return {}


def test_non_finite_loss_stops_and_keeps_the_last_state(tmp_path: Path) -> None:
    task = ExplodingTask()
    with pytest.raises(TrainingError, match="learning rate"):
        run_loop(task, LoopConfig(steps=9, save_every=1, validate_every=99), tmp_path)
    assert torch.isfinite(task.network.weight).all()  # type: ignore[arg-type]
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["step-00000001", "step-00000002"]


class ScriptedTask(ExplodingTask):
    """Validates to given losses and notes at which of them it is exported."""

    def __init__(self, *losses: float) -> None:
        super().__init__()
        self.losses, self.exported = list(losses), []  # type: ignore[var-annotated]

    def step(self, step: int) -> dict[str, float]:
        return {"loss": 1.0}

    def validate(self, network: nn.Module) -> dict[str, float]:
        self.loss = self.losses.pop(0)
        return {"loss": self.loss, "other": 0.0}

    def export(self, network: nn.Module, folder: Path) -> None:
        self.exported.append(self.loss)


def test_the_best_model_is_kept_on_request(tmp_path: Path) -> None:
    config = LoopConfig(steps=2, validate_every=1, save_every=1, keep_best=True)
    task = ScriptedTask(3.0, 2.0, 2.5, 2.5)
    run_loop(task, config, tmp_path)
    assert task.exported == [3.0, 2.0], "that of the weights it began with counts"
    assert "2.5 is not below 2: model kept" in (tmp_path / "train.log").read_text()
    further = ScriptedTask(2.2, 1.0, 1.5, 1.5)
    run_loop(further, replace(config, steps=5), tmp_path, resume=True)
    assert further.exported == [1.0], "a resumed run knows the lowest loss"
    every = ScriptedTask(2.0, 3.0, 3.0)
    run_loop(every, replace(config, keep_best=False), tmp_path / "every")
    assert every.exported == [2.0, 3.0, 3.0]


def test_the_gradient_is_clipped() -> None:
    module = nn.Linear(4, 1, bias=False)
    before = module.weight.detach().clone()
    loss = (1000 * module(torch.ones(1, 4))).square().sum()
    norm = update(loss, module, SGD(module.parameters(), 1.0), max_norm=0.5)
    assert norm > 100
    assert float((module.weight.detach() - before).norm()) == pytest.approx(0.5, rel=1e-3)


def test_a_damaged_or_foreign_state_is_refused(tmp_path: Path) -> None:
    module = {"a": nn.Linear(2, 2)}
    save_state(tmp_path, 1, module, {}, {})
    with pytest.raises(CheckpointError, match="shape"):
        load_state(tmp_path, {"a": nn.Linear(3, 3)}, {})
    (tmp_path / "step-00000001" / "tensors.safetensors").write_bytes(b"short")
    with pytest.raises(CheckpointError, match="cannot read"):
        load_state(tmp_path, module, {})


def test_learning_rate_warms_up_and_falls() -> None:
    config = LoopConfig(steps=100, warmup_steps=10, final_lr_ratio=0.1)
    scales = [rate_scale(step, config) for step in range(100)]
    assert scales[0] == pytest.approx(0.1, abs=0.01)
    assert np.argmax(scales) == 9
    assert scales[-1] == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("kind", ["tokenizer", "vocoder", "lm"])
def test_every_recipe_builds(kind: str) -> None:
    for name in recipe_names(kind):
        assert getattr(recipe_modules()[kind], name)().loop.steps > 0


def test_settings_are_laid_over_a_recipe() -> None:
    recipe = recipe_modules()["tokenizer"].default()
    changed = override(
        recipe,
        {
            "steps": "7",
            "network.code_dim": "8",
            "discriminator_start_step": "5",
            "learning_rate": "1",
        },
    )
    assert (changed.loop.steps, changed.network.code_dim) == (7, 8)
    assert changed.discriminator_start_step == 5
    assert isinstance(changed.learning_rate, float)
    for bad in ({"nonsense": "1"}, {"steps": "many"}, {"steps": "0"}, {"freeze_codes": "7"}):
        with pytest.raises(ConfigError):
            override(recipe, bad)


def test_unknown_recipe_names_the_known() -> None:
    with pytest.raises(ConfigError, match="debug, default"):
        train("vocoder", "nonsense", data=Path(), out=Path())
