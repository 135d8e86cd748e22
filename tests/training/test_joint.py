"""Joint training: growing decoders, frozen codes, precision, learning rates, discriminators."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from bandtok.data.manifest import Track
from bandtok.data.waveforms import WaveformStore
from bandtok.device import choose_device
from bandtok.errors import CheckpointError, ConfigError
from bandtok.model_specs import TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.torch_checkpoint import load_network, network_fingerprint, save_network
from bandtok.training.joint import JointTask, JointTraining
from bandtok.training.loss_table import weighted_sum
from bandtok.training.recipes import vocoder as recipes
from bandtok.training.run import train
from bandtok.training.settings import override
from bandtok.vocoder.config import DEBUG_VOCODER

ROOT = Path(__file__).parents[2]
SMALL = {"batch_size": "1", "crop_mel_frames": "40", "validation_crops": "1", "tokenizer": "debug"}
FEW = {"loop.steps": "2", "warmup_steps": "1", "tagger_weight": "0", "precision": "float32"}
DEBUG_SIZES = {
    "model_dim": str(DEBUG_VOCODER.model_dim), "num_blocks": str(DEBUG_VOCODER.num_blocks),
    "expansion": str(DEBUG_VOCODER.expansion), "num_corrections": "1",
}  # fmt: skip
JOINT = {**SMALL, **FEW, **DEBUG_SIZES}
Make = Callable[..., JointTask]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    time = np.arange(44_100) / 44_100
    samples = np.random.default_rng(0).normal(0, 0.05, 44_100) + 0.2 * np.sin(2800 * time)
    soundfile.write(folder / "a.wav", samples, 44_100)
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The debug tokenizer as a model folder, whose weights are float16 as those of any model."""
    folder = tmp_path_factory.mktemp("start")
    save_network(load_network(TOKENIZER_SPEC, "debug"), folder, TOKENIZER_SPEC.name)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def make(music: Path) -> Make:
    """Return a joint task of `joint_sharp` with debug models."""
    track = Track(path="a.wav", seconds=1.0, sample_rate=44_100, channels=1, bandwidth_hz=22_050.0)
    store = WaveformStore([track], music, music / "cache", 44_100)

    def make(settings: dict[str, str] | None = None) -> JointTask:
        recipe: JointTraining = replace(recipes.joint_sharp(), network=DEBUG_VOCODER)
        recipe = override(
            recipe, {**SMALL, **FEW, "discriminator_start_step": "0", **(settings or {})}
        )
        return JointTask(recipe, store, store, load_network(TOKENIZER_SPEC, recipe.tokenizer))

    return make


def parameters(task: JointTask) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in task.network.named_parameters()}


def joint(music: Path, out: Path, init: Path | None = None, **changed: Any) -> Path:
    train(
        "vocoder", "joint_sharp", data=music, out=out, init=None if init is None else str(init),
        settings={**JOINT, **changed},
    )  # fmt: skip
    return out


def test_joint_training_grows_the_decoder_and_keeps_the_codes(
    music: Path, start: Path, tmp_path: Path
) -> None:
    fingerprint = network_fingerprint(load_network(TOKENIZER_SPEC, start))
    run = joint(music, tmp_path / "run", tokenizer=str(start))
    exported = load_network(TOKENIZER_SPEC, run)
    assert network_fingerprint(exported) == fingerprint
    assert exported.config.decoder_fine_blocks == 2
    assert exported.config.decoder_noise_channels == 4
    assert exported.decoder.fine.out.weight.any()
    again = load_network(TOKENIZER_SPEC, joint(music, tmp_path / "again", tokenizer=str(run)))
    assert network_fingerprint(again) == fingerprint
    assert torch.equal(again.decoder.fine.noise.tile, exported.decoder.fine.noise.tile)
    assert not torch.equal(again.decoder.fine.out.weight, exported.decoder.fine.out.weight)
    with pytest.raises(ConfigError, match="has 2 already"):
        joint(music, tmp_path / "other", tokenizer=str(run), decoder_fine_blocks="3")


def test_crops_too_short_for_the_discriminators_are_refused(make: Make) -> None:
    with pytest.raises(ConfigError, match="got crop_mel_frames 32; expected 33 or more"):
        make({"crop_mel_frames": "32"})
    make({"crop_mel_frames": "32", "discriminator_start_step": "none"})


def test_a_decoder_is_left_as_it_was_loaded_without_settings(make: Make) -> None:
    task = make({"decoder_fine_blocks": "none", "decoder_noise_channels": "none"})
    assert task.network.tokenizer.config == load_network(TOKENIZER_SPEC, "debug").config


def test_growing_leaves_the_vocoder_and_the_first_output_as_they_are(make: Make) -> None:
    plain = make({"decoder_fine_blocks": "none", "decoder_noise_channels": "none"})
    grown = make()
    for name, tensor in plain.network.vocoder.state_dict().items():
        assert torch.equal(grown.network.vocoder.state_dict()[name], tensor)
    mel = plain.log_mel(plain.validation)
    for first, second in zip(plain.network(mel), grown.network(mel), strict=True):
        assert torch.equal(first, second)


def test_a_resumed_run_with_noise_equals_one_that_never_stopped(
    music: Path, tmp_path: Path
) -> None:
    settings = {"save_every": "1"}
    joint(music, tmp_path / "whole", **settings)
    cut = joint(music, tmp_path / "cut", **settings)
    newest = max((cut / "state").iterdir())
    whole = load_file(newest / "tensors.safetensors")
    for path in newest.iterdir():
        path.unlink()
    newest.rmdir()
    train(
        "vocoder", "joint_sharp", data=music, out=cut, settings={**JOINT, **settings}, resume=True
    )
    resumed = load_file(newest / "tensors.safetensors")
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())


def test_a_grown_tokenizer_starts_from_older_weights(music: Path, tmp_path: Path) -> None:
    small = {"crop_mel_frames": "32", "batch_size": "1", "validation_crops": "1", "steps": "1"}
    small["start_vectors_per_entry"] = "1"
    train("tokenizer", "debug", data=music, out=tmp_path / "first", settings=small)
    grown = {**small, "freeze_codes": "true", "learning_rate": "0", "decoder_fine_blocks": "1"}
    grown["decoder_noise_channels"] = "2"
    start = {"data": music, "init": str(tmp_path / "first")}
    train("tokenizer", "debug", out=tmp_path / "second", settings=grown, **start)
    before = load_network(TOKENIZER_SPEC, tmp_path / "first")
    after = load_network(TOKENIZER_SPEC, tmp_path / "second")
    codes = torch.randint(0, 64, (1, 16, 10), generator=torch.Generator().manual_seed(0))
    assert after.config.decoder_fine_blocks == 1
    assert torch.equal(before.decode_codes(codes), after.decode_codes(codes))
    assert network_fingerprint(before) == network_fingerprint(after)
    with pytest.raises(CheckpointError, match="unknown tensor"):
        train(
            "tokenizer", "debug", data=music, out=tmp_path / "third", settings=small,
            init=str(tmp_path / "second"),
        )  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_in_this_precision_moves_what_is_trained(make: Make, precision: str) -> None:
    task = make({"precision": precision, "discriminators": "mel+spectrum"})
    before = parameters(task)
    numbers = task.step(0)
    assert all(np.isfinite(value) for value in numbers.values())
    after = parameters(task)
    assert all(tensor.dtype == torch.float32 for tensor in after.values())
    moved = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert moved
    assert all(name.startswith(("vocoder.", "tokenizer.decoder.")) for name in moved)
    assert {"vocoder.spectrum.weight", "tokenizer.decoder.fine.out.weight"} <= moved


def test_precisions_give_close_but_not_equal_losses(make: Make) -> None:
    first, second = (make({"precision": p}).step(0) for p in ("float32", "bfloat16"))
    assert first["mel_loss"] != second["mel_loss"]
    assert second["mel_loss"] == pytest.approx(first["mel_loss"], rel=0.02)


@pytest.mark.parametrize(
    ("still", "prefix"),
    [("learning_rate", "vocoder."), ("decoder_learning_rate", "tokenizer.decoder.")],
)
def test_each_part_has_its_own_learning_rate(
    music: Path, tmp_path: Path, still: str, prefix: str
) -> None:
    """Through the loop, which sets the rates of every step."""
    run = joint(music, tmp_path / "run", **{still: "0", "save_every": "1"})
    first, last = (
        load_file(path / "tensors.safetensors") for path in sorted((run / "state").iterdir())
    )
    names = [name for name in first if name.startswith(f"network.{prefix}")]
    others = {
        "vocoder.": "tokenizer.decoder.out.weight",
        "tokenizer.decoder.": "vocoder.spectrum.weight",
    }
    moved = f"network.{others[prefix]}"
    assert names
    assert all(torch.equal(first[name], last[name]) for name in names)
    assert not torch.equal(first[moved], last[moved])


def test_losses_are_computed_on_frames_shifted_within_a_hop(make: Make) -> None:
    task = make()
    waveform = task.waveforms(0)
    pairs = [task.shifted_pair(waveform, waveform, step) for step in range(6)]
    hop = task.log_mel.config.hop_length
    starts = set()
    for pair in pairs:
        estimate, reference = pair.waveforms
        assert torch.equal(estimate, reference)
        assert reference.shape[-1] == waveform.shape[-1] - hop
        assert pair.mels[1].shape[-1] == 39
        found = [
            s for s in range(hop) if torch.equal(waveform[..., s : s + 99], reference[..., :99])
        ]
        starts.add(found[0])
    assert len(starts) > 4
    again = task.shifted_pair(waveform, waveform, 3).waveforms[1]
    assert torch.equal(again, pairs[3].waveforms[1])


def test_the_mel_discriminator_compares_the_decoded_mel_too(make: Make) -> None:
    task = make()
    seen: list[tuple[int, ...]] = []
    task.discriminator_trainers["mel"].discriminator.register_forward_pre_hook(
        lambda _, inputs: seen.append(tuple(inputs[0].shape))
    )
    task.step(0)
    assert set(seen) == {(2, 128, 39)}


def test_one_kind_of_discriminator_has_the_state_of_earlier_runs(make: Make) -> None:
    assert list(make().modules) == ["network", "discriminator"]
    both = make({"discriminators": "mel+spectrum"})
    assert list(both.modules) == ["network", "discriminator", "spectrum_discriminator"]
    assert list(both.optimizers) == list(both.modules)


@pytest.mark.parametrize("kinds", ["", "waves", "mel+mel", "mel,spectrum"])
def test_unknown_discriminators_are_refused(kinds: str) -> None:
    with pytest.raises(ConfigError, match="expected mel, spectrum or mel"):
        override(recipes.joint_sharp(), {"discriminators": kinds})


def test_unknown_precisions_and_devices_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected float32 or bfloat16"):
        override(recipes.joint_sharp(), {"precision": "float16"})
    with pytest.raises(ConfigError, match="expected one of auto, cpu"):
        choose_device("gpu")


def test_losses_without_weight_are_skipped_but_the_mel_loss_is_always_logged() -> None:
    called = []

    def loss(name: str, value: float) -> Callable[[], torch.Tensor]:
        def compute() -> torch.Tensor:
            called.append(name)
            return torch.tensor(value, requires_grad=True)

        return compute

    found = weighted_sum(
        {
            "mel_loss": (0.0, loss("mel", 5.0)),
            "a": (0.5, loss("a", 3.0)),
            "b": (0.0, loss("b", 7.0)),
        }
    )
    assert called == ["mel", "a"]
    assert found.numbers() == {"mel_loss": 5.0, "a": 3.0}
    assert float(found.total.detach()) == 1.5


def test_adversarial_losses_of_two_kinds_are_averaged(make: Make) -> None:
    task = make({"discriminators": "mel+spectrum", "adversarial_weight": "2"})
    waveform = task.waveforms(0)
    pair = task.shifted_pair(0.5 * waveform, waveform, 0)
    pairs = task.discriminator_pairs(pair)
    assert list(pairs) == ["mel", "spectrum"]
    alone = {
        kind: copy.deepcopy(task.discriminator_trainers[kind]).step(reference, estimate)
        for kind, (estimate, reference) in pairs.items()
    }
    table = task.adversarial_losses(0, pairs)
    weight, compute = table["adversarial_loss"]
    expected = sum(float(found["adversarial_loss"].detach()) for found in alone.values()) / 2
    assert weight == 2.0
    assert float(compute().detach()) == pytest.approx(expected, abs=1e-5)


def test_the_recipe_for_a_gpu_differs_in_size_only() -> None:
    cpu, gpu = recipes.joint_sharp(), recipes.joint_sharp_gpu()
    same = {"batch_size": 5, "crop_mel_frames": 96, "discriminators": "mel"}
    assert replace(gpu, **same) == cpu  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_script_for_a_gpu_passes_on_a_cpu(music: Path, start: Path, tmp_path: Path) -> None:
    sizes = " ".join(f"{name}={value}" for name, value in DEBUG_SIZES.items())
    settings = f"batch_size=1 crop_mel_frames=40 validation_crops=1 tagger_weight=0 {sizes}"
    environment = {
        **os.environ, "DATA": str(music), "OUT": str(tmp_path / "run"), "TOKENIZER": str(start),
        "VOCODER": "", "STEPS": "2", "DEVICE": "cpu", "SETTINGS": settings,
        "PYTHON": sys.executable, "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    script = ["bash", str(ROOT / "tools" / "train_sound_gpu.sh")]
    done = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "as before" in done.stdout
    exported = load_network(TOKENIZER_SPEC, tmp_path / "run")
    assert exported.config.decoder_noise_channels == 4
    assert load_network(VOCODER_SPEC, tmp_path / "run").config.model_dim == DEBUG_VOCODER.model_dim
