"""One format for every network: a folder with config.json and model.safetensors.

Finds weights by name (bundled, a model or run folder, a hub id), checks names and shapes against
the config before anything is loaded. Never pickle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import safetensors
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from bandtok.errors import CheckpointError
from bandtok.extras import require
from bandtok.tokens.atomic import write_bytes

BUNDLED = Path(__file__).parent / "weights"
FORMAT_VERSION = 1
"""Of config.json; raised when parameters are renamed."""
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"
_MAX_CONFIG_BYTES = 1 << 20
_MAX_SIZE = 1 << 20  # of any number in a config, apart from those whose name holds one of these
_MAX_SIZES = {"_blocks": 256, "_layers": 256, "_corrections": 64, "n_fft": 1 << 15, "n_mels": 1024}


class NetworkConfig(Protocol):
    """A frozen dataclass that can be written as JSON and read back."""

    def to_dict(self) -> dict[str, Any]: ...

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self: ...


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Ties a kind of network to its classes.

    Attributes:
        name: "tokenizer", "residual", "vocoder", "lm" or "reranker"; also the name of its
            folder.
        network: class built from one config.
        config: the config's class.
        debug: a tiny config for tests.
        others: kinds that do the same job and may be found in its place; config.json says which.
    """

    name: str
    network: type[nn.Module]
    config: type[Any]
    debug: NetworkConfig
    others: tuple[ModelSpec, ...] = ()


def save_network(network: nn.Module, folder: Path, kind: str, card: str | None = None) -> None:
    """Write config.json and float16 model.safetensors (and README.md), each atomically.

    Weights go first and the config last, so that a folder with a config is complete.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach()
        .to("cpu", torch.float16 if tensor.is_floating_point() else None)
        .contiguous()
        for name, tensor in network.state_dict().items()
    }
    config = {"format_version": FORMAT_VERSION, "kind": kind, "config": network.config.to_dict()}  # type: ignore[union-attr, operator]
    if card is not None:
        write_bytes(folder / CARD_FILE, card.encode())
    write_bytes(folder / WEIGHTS_FILE, save(tensors, metadata={"format": "pt", "kind": kind}))
    write_bytes(folder / CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())


def load_network(kind: ModelSpec, name: str | os.PathLike[str] | None, device: str = "cpu") -> Any:
    """Load a network by name, in evaluation mode and float32.

    Args:
        kind: what to load.
        name: None for the bundled weights, "debug" for a tiny seeded random network, a model or
            run folder, or a hub id ("owner/name").
        device: torch device.

    Raises:
        CheckpointError: if it cannot be found, is of another kind, is damaged, or does not fit.
    """
    if name == "debug":
        network = debug_network(kind)
    else:
        network = _read_network(kind, find_model_folder(kind.name, name))
    network.eval().requires_grad_(False)
    return network.to(device)


def debug_network(kind: ModelSpec) -> nn.Module:
    """Build the tiny network with weights from a fixed seed; leaves the global seed as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind.network(kind.debug)


def find_model_folder(kind: str, name: str | os.PathLike[str] | None) -> Path:
    """Return the folder that holds the model `name` (see load_network).

    Raises:
        CheckpointError: if there is none.
    """
    if name is None:
        return _checked_folder(BUNDLED / kind, "the bundled weights")
    path = Path(name)
    for candidate in (path / kind, path / "model" / kind, path / "model", path):
        if (candidate / CONFIG_FILE).is_file():
            return candidate
    if path.exists() or len(path.parts) != 2 or path.is_absolute():
        raise CheckpointError(
            f"no model at {os.fspath(name)!r}: expected a folder with {CONFIG_FILE} and "
            f"{WEIGHTS_FILE}, a run folder, 'debug', or a hub id 'owner/name'"
        )
    return _from_hub(kind, os.fspath(name))


def holds_network(kind: str, name: str | os.PathLike[str]) -> bool:
    """Say whether a model or run folder holds a network of this kind beside others ("debug" does).

    A run of `train vocoder joint` leaves two, in `model/tokenizer` and `model/vocoder`.
    """
    path = Path(name)
    folders = (path / kind, path / "model" / kind)
    return os.fspath(name) == "debug" or any((f / CONFIG_FILE).is_file() for f in folders)


def model_id(name: str | os.PathLike[str] | None) -> str:
    """Return what token files call a model: a folder's own name, or the name it was loaded by."""
    if name is None:
        return "bandtok-default"
    return Path(name).resolve().name if Path(name).exists() else os.fspath(name)


def _read_network(kind: ModelSpec, folder: Path) -> nn.Module:
    kind, config = _read_config(kind, folder / CONFIG_FILE)
    with torch.device("meta"):  # shapes without memory, until the weights agree with them
        outline = kind.network(config)
    path = folder / WEIGHTS_FILE
    check_shapes(outline.state_dict(), _read_shapes(path), str(path))
    network = kind.network(config)
    network.load_state_dict(load_file(path))
    return network


def _read_config(kind: ModelSpec, path: Path) -> tuple[ModelSpec, Any]:
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise CheckpointError(
            f"{path} is larger than {_MAX_CONFIG_BYTES} bytes; not a model config"
        )
    try:
        content = json.loads(path.read_bytes())
        found, values = content["kind"], content["config"]
        version = content.get("format_version", FORMAT_VERSION)
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path} is not a BandTok model config") from None
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format version {version!r}; this program reads {FORMAT_VERSION}; "
            "install a newer bandtok"
        )
    fitting = next((one for one in (kind, *kind.others) if one.name == found), None)
    if fitting is None:
        raise CheckpointError(f"{path.parent} holds a {found}; expected a {kind.name}")
    _check_sizes(values, path)
    try:
        return fitting, fitting.config.from_dict(values)
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} does not describe a {fitting.name}: {error}") from None


def _check_sizes(values: object, path: Path) -> None:
    """Refuse numbers so large that building the network would take all memory or for ever."""
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is not a BandTok model config")
    for name, value in values.items():
        if isinstance(value, dict):
            _check_sizes(value, path)
        most = next((most for part, most in _MAX_SIZES.items() if part in name), _MAX_SIZE)
        if isinstance(value, int | float) and not -most <= value <= most:
            raise CheckpointError(f"{path}: got {name} {value!r:.30}; expected at most {most}")


def _read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"cannot read weights {str(path)!r}: {error}") from None


def check_shapes(
    expected: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], where: str
) -> None:
    """Raise CheckpointError if names or shapes are not those of `expected`."""
    for key in sorted(expected.keys() ^ shapes.keys()):
        problem = "misses" if key in expected else "has an unknown"
        raise CheckpointError(f"{where} {problem} tensor {key!r}; it does not fit the network")
    for key, tensor in expected.items():
        if tuple(tensor.shape) != shapes[key]:
            raise CheckpointError(
                f"{where}: {key!r} has shape {shapes[key]}; expected {tuple(tensor.shape)}"
            )


def _checked_folder(folder: Path, what: str) -> Path:
    if not (folder / CONFIG_FILE).is_file():
        raise CheckpointError(f"{what} are missing at {folder}; reinstall the package")
    return folder


def hub_folder(name: str, patterns: Sequence[str]) -> Path:
    """Return the local folder of a hub model, fetching its files that match any of `patterns`.

    Raises:
        CheckpointError: if there is no such model, or the hub cannot be reached.
        MissingDependency: if huggingface_hub is not installed.
    """
    hub = require("huggingface_hub", "hub")
    failures = (
        hub.errors.HfHubHTTPError,
        hub.errors.HFValidationError,
        hub.errors.LocalEntryNotFoundError,
        OSError,
    )
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(patterns)))
    except failures as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"no folder {name!r}, and no such model on the hub: {reason}"
        ) from None


def _from_hub(kind: str, name: str) -> Path:
    root = hub_folder(name, [f"{p}{f}" for p in ("", f"{kind}/") for f in _HUB_FILES])
    for candidate in (root / kind, root):
        if (candidate / CONFIG_FILE).is_file():
            return candidate
    raise CheckpointError(f"the hub model {name!r} holds no {kind}")


_HUB_FILES = (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE)
