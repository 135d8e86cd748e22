"""Training state on disk: a folder of safetensors and JSON, written whole or not at all.

    RUN/state/step-00001200/{tensors.safetensors, state.json}

Whatever is being written or removed has a hidden name; what a kill left of it is cleared by the
next load or save.

Holds every parameter and buffer (those kept out of exported weights too), the optimizers and the
averaged network. Apart from model weights, and never pickle.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from bandtok.checkpoint import check_shapes
from bandtok.errors import CheckpointError

_TENSORS, _STATE = "tensors.safetensors", "state.json"


def save_state(
    folder: Path,
    step: int,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, Optimizer],
    values: Mapping[str, Any],
    keep: int = 2,
) -> Path:
    """Write the state after `step` steps and remove all but the `keep` newest."""
    target = folder / f"step-{step:08d}"
    partial = folder / f".part-{target.name}"
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    partial.mkdir()
    tensors = {
        key: tensor.detach().clone(memory_format=torch.contiguous_format)
        for key, tensor in _named(modules, optimizers)
    }
    save_file(tensors, partial / _TENSORS)
    (partial / _STATE).write_text(json.dumps({"step": step, **values}))
    for path in partial.iterdir():
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
    if target.exists():
        _remove(target)
    os.replace(partial, target)
    for old in _states(folder)[:-keep]:
        _remove(old)
    return target


def has_state(folder: Path) -> bool:
    """Return whether there is a state to go on from."""
    return bool(_states(folder))


def newest_step(folder: Path) -> int:
    """Return how many steps the newest state is after; there must be one."""
    return int(_states(folder)[-1].name.removeprefix("step-"))


def load_state(
    folder: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> dict[str, Any] | None:
    """Load the newest state in place; None if there is none.

    Raises:
        CheckpointError: if the newest state is damaged or is of another shape of network.
    """
    _clear(folder)
    states = _states(folder)
    if not states:
        return None
    newest = states[-1]
    try:
        values: dict[str, Any] = json.loads((newest / _STATE).read_text())
        tensors = load_file(newest / _TENSORS)
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"cannot read training state {newest}: {error}; remove it to go on from an older one"
        ) from None
    for name, optimizer in optimizers.items():
        _restore_optimizer(optimizer, f"optimizer.{name}.", tensors)
    expected = dict(_named(modules, {}))
    found = {k: t for k, t in tensors.items() if not k.startswith("optimizer.")}
    check_shapes(expected, {k: tuple(t.shape) for k, t in found.items()}, str(newest))
    with torch.no_grad():
        for key, tensor in expected.items():
            tensor.copy_(found[key])
    return values


def _remove(state: Path) -> None:
    """Take the name away first: a state that a kill left half removed must not be found."""
    hidden = state.with_name(f".old-{state.name}")
    os.replace(state, hidden)
    shutil.rmtree(hidden)


def _clear(folder: Path) -> None:
    """Remove what was being written or removed when a run was killed."""
    for left in folder.glob(".*step-????????*"):
        shutil.rmtree(left)


def _states(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-????????"))


def _named(
    modules: Mapping[str, nn.Module], optimizers: Mapping[str, Optimizer]
) -> Iterator[tuple[str, Tensor]]:
    for name, module in modules.items():
        for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
            yield f"{name}.{key}", tensor
    for name, optimizer in optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            for key, tensor in values.items():
                yield f"optimizer.{name}.{index}.{key}", tensor


def _restore_optimizer(optimizer: Optimizer, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(prefix):
            index, name = key.removeprefix(prefix).split(".")
            state.setdefault(int(index), {})[name] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
