"""The one training loop: steps, learning rate, averaged weights, validation, state, export.

Knows no network: a :class:`TrainingTask` computes one whole step. A step depends only
on the state and its number, so that a resumed run equals one that never stopped.
"""

from __future__ import annotations

import copy
import json
import math
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Optimizer

from bandtok.errors import ConfigError, TrainingError
from bandtok.training.state import load_state, save_state
from bandtok.training.tracking import Tracker, progress_line, validation_line

_NOT_NUMBERS = ("part", "step", "minutes")


class TrainingTask(Protocol):
    """What the loop needs of a kind of training.

    Attributes:
        network: what is trained, averaged and exported.
        modules: every module with state of its own, `network` included.
        optimizers: stepped by the task, their learning rates set by the loop.
    """

    @property
    def network(self) -> nn.Module: ...

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...

    @property
    def optimizers(self) -> Mapping[str, Optimizer]: ...

    def step(self, step: int) -> dict[str, float]:
        """Sample the batch of this step, update the networks, and return what is to be logged."""
        ...

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Measure the averaged network on fixed held-out data."""
        ...

    def log_images(self, network: nn.Module) -> dict[str, np.ndarray]:
        """Return named images, uint8 [height, width, 3]."""
        ...

    def export(self, network: nn.Module, folder: Path) -> None:
        """Write the averaged network as one model or more, for load_network, below `folder`."""
        ...


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long and how to train; learning rates belong to the task's optimizers.

    Attributes:
        steps: optimizer updates; the learning rate is scheduled over them.
        warmup_steps: steps in which the learning rate rises from 0.
        final_lr_ratio: learning rate of the last step over the highest (cosine decay).
        ema_decay: per step, of the averaged weights that are validated and exported.
        log_every, validate_every, save_every: steps between log lines, validations, saved states.
        seed: of initial weights and of every random choice.
        keep_best: write the model only when its first validation number, a loss, is the lowest so
            far, that of the weights it began with included; otherwise after each validation.
    """

    steps: int = 10_000
    warmup_steps: int = 100
    final_lr_ratio: float = 0.05
    ema_decay: float = 0.999
    log_every: int = 20
    validate_every: int = 500
    save_every: int = 250
    seed: int = 0
    keep_best: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "log_every", "validate_every", "save_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"got {name} {getattr(self, name)}; expected at least 1")


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """How a run ended: steps done in all, the last validation, and whether all steps are done."""

    step: int
    validation: dict[str, float]
    finished: bool


def run_loop(
    task: TrainingTask,
    config: LoopConfig,
    out: Path,
    *,
    resume: bool = False,
    max_minutes: float | None = None,
    report: Callable[[int, int, dict[str, float]], None] | None = None,
    on_line: Callable[[str, bool], None] | None = None,
) -> LoopResult:
    """Train until `config.steps`, `max_minutes` or an interrupt; always leaves a state and a model.

    Args:
        task: what is trained.
        config: length, schedule and intervals.
        out: run folder: state/, model/ (the averaged network), images/, metrics.jsonl, train.log.
        resume: go on from the newest state in `out`.
        max_minutes: stop after this many minutes.
        report: called with (steps done, steps in all, numbers) whenever numbers are logged.
        on_line: called with lines of train.log, and whether to keep them in view.

    Raises:
        TrainingError: if a loss or gradient is not finite; the newest state is kept.
    """
    averaged = copy.deepcopy(task.network).requires_grad_(False)
    modules = {**task.modules, "averaged": averaged}
    values = load_state(out / "state", modules, task.optimizers) if resume else None
    first = step = values["step"] if values else 0
    minutes = values["minutes"] if values else 0.0
    validation: dict[str, float] = {}
    elapsed = _stopwatch()

    def save() -> None:
        save_state(out / "state", step, modules, task.optimizers, {"minutes": minutes + elapsed()})

    with Tracker(out, on_line) as tracker, _Interrupt() as interrupt:
        validator = _Validator(task, averaged, config, out, tracker)
        tracker.line(_start_line(task.network, step, config.steps), keep=True)
        if config.keep_best and not step:
            validator(0, minutes)
        while step < config.steps:
            if interrupt.requested or (max_minutes is not None and elapsed() >= max_minutes):
                break
            numbers = _take_step(task, averaged, config, step)
            step += 1
            if step % config.log_every == 0 or step == first + 1:
                numbers["seconds_per_step"] = pace = elapsed() * 60 / (step - first)
                tracker.numbers("train", step, minutes + elapsed(), numbers)
                tracker.line(progress_line(step, config.steps, pace, numbers), keep=False)
                if report:
                    report(step, config.steps, numbers)
            if step % config.validate_every == 0:
                validation = validator(step, minutes + elapsed())
            if step % config.save_every == 0:
                save()
        if step > first and step % config.save_every:
            save()
        if step > first or step >= config.steps:  # or it was killed before its last model
            validation = validator(step, minutes + elapsed())
    return LoopResult(step=step, validation=validation, finished=step >= config.steps)


def _stopwatch() -> Callable[[], float]:
    """Return a function that gives the minutes since this call."""
    began = time.monotonic()
    return lambda: (time.monotonic() - began) / 60


def _take_step(
    task: TrainingTask, averaged: nn.Module, config: LoopConfig, step: int
) -> dict[str, float]:
    """Compute one step, a function of state and number alone; return its numbers and its rate."""
    torch.manual_seed(config.seed * 1_000_003 + step)
    scale = rate_scale(step, config)
    _set_rates(task.optimizers, scale)
    numbers = task.step(step)
    _check_finite(numbers, step)
    _average(averaged, task.network, min(config.ema_decay, (step + 1) / (step + 11)))
    return numbers | {"rate": scale}


def _start_line(network: nn.Module, step: int, steps: int) -> str:
    parameters = list(network.parameters())
    million = sum(parameter.numel() for parameter in parameters) / 1e6
    return f"step {step}/{steps}, {million:.1f} M parameters on {parameters[0].device}"


def rate_scale(step: int, config: LoopConfig) -> float:
    """Return the factor on every learning rate: linear warm-up, then half a cosine."""
    progress = min(step / config.steps, 1.0)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    scale = config.final_lr_ratio + (1 - config.final_lr_ratio) * cosine
    return min(1.0, (step + 1) / max(config.warmup_steps, 1)) * scale


def update(loss: Tensor, module: nn.Module, optimizer: Optimizer, max_norm: float = 1.0) -> float:
    """Take one clipped optimizer step on `module`; return the gradient norm before clipping.

    Raises:
        TrainingError: if the gradient is not finite; parameters are then left as they were.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    return apply_gradients(float(loss.detach()), module, [optimizer], max_norm)


def apply_gradients(
    loss: float, module: nn.Module, optimizers: Iterable[Optimizer], max_norm: float = 1.0
) -> float:
    """Step with the gradients that are there, clipped; return their norm before clipping.

    Raises:
        TrainingError: as in `update`.
    """
    parameters = [p for p in module.parameters() if p.grad is not None]
    norm = float(nn.utils.clip_grad_norm_(parameters, max_norm))
    if not math.isfinite(norm):
        raise TrainingError(
            f"the gradient norm is {norm} at a loss of {loss:.4g}; lower the "
            "learning rate or look at the data of this step, then --resume"
        )
    for optimizer in optimizers:
        optimizer.step()
    return norm


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    for mean, current in zip(averaged.parameters(), network.parameters(), strict=True):
        if current.requires_grad:  # what is frozen stays as it is, to the last bit
            mean.lerp_(current, 1 - decay)
    for fixed, buffer in zip(averaged.buffers(), network.buffers(), strict=True):
        fixed.copy_(buffer)


def _set_rates(optimizers: Mapping[str, Optimizer], scale: float) -> None:
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["initial_lr"] * scale


def _check_finite(numbers: Mapping[str, float], step: int) -> None:
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise TrainingError(
                f"{name} is {value} at step {step}; lower the learning rate, then --resume "
                "from the last saved state"
            )


class _Validator:
    """Measures the averaged network, logs numbers and images, and writes the model."""

    def __init__(
        self,
        task: TrainingTask,
        averaged: nn.Module,
        config: LoopConfig,
        out: Path,
        tracker: Tracker,
    ) -> None:
        self._task, self._averaged, self._config = task, averaged, config
        self._out, self._tracker = out, tracker
        self._lowest: float | None = None

    def __call__(self, step: int, minutes: float) -> dict[str, float]:
        steps = self._config.steps
        numbers = self._measure(step, minutes)
        self._tracker.line(validation_line(step, steps, numbers), keep=True)
        if self._config.keep_best:
            loss, lowest = next(iter(numbers.values())), self._lowest
            lowest = _lowest_loss(self._out, step - 1) if lowest is None else lowest
            self._lowest = min(loss, lowest)
            if loss >= lowest:
                kept = f"{loss:.4g} is not below {lowest:.4g}: model kept"
                self._tracker.line(f"step {step}/{steps}, {kept}", keep=True)
                return numbers
        self._task.export(self._averaged, self._out / "model")
        return numbers

    def _measure(self, step: int, minutes: float) -> dict[str, float]:
        self._averaged.eval()
        with torch.no_grad():
            numbers = self._task.validate(self._averaged)
            images = self._task.log_images(self._averaged)
        self._tracker.numbers("valid", step, minutes, numbers)
        (self._out / "images").mkdir(exist_ok=True)
        for name, image in images.items():
            Image.fromarray(image).save(self._out / "images" / f"{name}-{step:08d}.png")
            self._tracker.image(name, step, image)
        return numbers


def _lowest_loss(out: Path, step: int) -> float:
    """Return the lowest first validation number up to a step of a run, infinity if none."""
    lines = [one for one in read_metrics(out) if one["part"] == "valid" and one["step"] <= step]
    first = (next(v for k, v in one.items() if k not in _NOT_NUMBERS) for one in lines)
    return min(first, default=math.inf)


class _Interrupt:
    """Turns the first SIGINT or SIGTERM into a request to stop after the step under way."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def __enter__(self) -> _Interrupt:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        except ValueError:  # not the main thread: its owner decides about signals
            self._before = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()


def read_metrics(out: Path) -> list[dict[str, Any]]:
    """Return every logged line of a run."""
    with open(out / "metrics.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
