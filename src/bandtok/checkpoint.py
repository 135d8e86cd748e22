"""One format for every network: a folder with config.json and model.safetensors.

Finds weights by name (bundled, a model or run folder, a hub id) and reads them as numpy arrays;
:mod:`bandtok.torch_checkpoint` makes torch networks of them. Never pickle.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import safetensors

from bandtok.errors import CheckpointError
from bandtok.extras import require

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


class Shaped(Protocol):
    """An array or a tensor."""

    @property
    def shape(self) -> Sequence[int]: ...


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A kind of network and its config.

    Attributes:
        name: "tokenizer", "residual", "vocoder", "lm", "reranker" or "harmony"; also the name
            of its folder.
        config: the config's class.
        debug: a tiny config for tests.
        others: kinds that do the same job and may be found in its place; config.json says which.
    """

    name: str
    config: type[Any]
    debug: NetworkConfig
    others: tuple[ModelSpec, ...] = ()


def find_model_folder(kind: str, name: str | os.PathLike[str] | None) -> Path:
    """Return the folder that holds a model.

    Args:
        kind: name of its `ModelSpec`.
        name: None for the bundled weights, "debug" for a tiny random network, a model or run
            folder, or a hub id ("owner/name").

    Raises:
        CheckpointError: if there is none.
    """
    if name is None:
        return _checked_folder(BUNDLED / kind, "the bundled weights")
    if name == "debug":
        return _checked_folder(BUNDLED / "debug" / kind, "the debug weights")
    path = Path(name)
    for candidate in (path / kind, path / "model" / kind, path / "model", path):
        if (candidate / CONFIG_FILE).is_file():
            return candidate
    if not _is_hub_id(name):
        raise CheckpointError(
            f"no model at {os.fspath(name)!r}: expected a folder with {CONFIG_FILE} and "
            f"{WEIGHTS_FILE}, a run folder, 'debug', or a hub id 'owner/name'"
        )
    return _from_hub(kind, os.fspath(name))


def find_model_folders(name: str | os.PathLike[str] | None) -> dict[str, Path]:
    """Return the folders of all networks that a model consists of, by the kind in their config.

    Args:
        name: as for `find_model_folder`.

    Raises:
        CheckpointError: if there are none.
    """
    if name is None or name == "debug":
        root = BUNDLED if name is None else BUNDLED / "debug"
    else:
        root = Path(local_model(name, ("*",)) or "")
    places = (root, root / "model", *sorted(root.glob("*")), *sorted(root.glob("model/*")))
    found: dict[str, Path] = {}
    for folder in places:
        if (folder / CONFIG_FILE).is_file() and (folder / WEIGHTS_FILE).is_file():
            found.setdefault(_read_content(folder / CONFIG_FILE)[0], folder)
    if not found:
        raise CheckpointError(f"{root} holds no model: expected {CONFIG_FILE} and {WEIGHTS_FILE}")
    return found


def local_model(
    name: str | os.PathLike[str] | None, kinds: Sequence[str]
) -> str | os.PathLike[str] | None:
    """Return the local folder of a hub id, its networks of these kinds fetched; else the name.

    Raises:
        CheckpointError: if there is no such model, or the hub cannot be reached.
    """
    if name is None or not _is_hub_id(name):
        return name
    prefixes = ("", *(f"{kind}/" for kind in kinds))
    return hub_folder(os.fspath(name), [f"{p}{f}" for p in prefixes for f in HUB_FILES])


def _is_hub_id(name: str | os.PathLike[str]) -> bool:
    path = Path(name)
    return not path.exists() and not path.is_absolute() and len(path.parts) == 2


def own_or_bundled(kind: str, name: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    """Return `name` if it holds this kind of network among others, else None: the bundled one."""
    return name if name is not None and holds_network(kind, name) else None


def holds_network(kind: str, name: str | os.PathLike[str]) -> bool:
    """Return whether a model or run folder holds this kind among others ("debug" does).

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


def read_config(kind: ModelSpec, folder: Path) -> tuple[ModelSpec, Any]:
    """Return the config in a model folder, and its kind: `kind` or one of `kind.others`.

    Raises:
        CheckpointError: if it is damaged, of another kind, or has absurd sizes.
    """
    path = folder / CONFIG_FILE
    found, values = _read_content(path)
    fitting = next((one for one in (kind, *kind.others) if one.name == found), None)
    if fitting is None:
        raise CheckpointError(f"{path.parent} holds a {found}; expected a {kind.name}")
    _check_sizes(values, path)
    try:
        return fitting, fitting.config.from_dict(values)
    except (TypeError, KeyError, ValueError) as error:
        raise CheckpointError(f"{path} does not describe a {fitting.name}: {error}") from None


def _read_content(path: Path) -> tuple[str, Any]:
    """Return the kind and the settings in a config file."""
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
    return str(found), values


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


def read_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's weights, read from the file's header alone.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    with _opened_weights(folder) as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


def read_weights(folder: Path, *prefixes: str) -> dict[str, np.ndarray]:
    """Return a model's weights whose names begin with any of `prefixes`, floats as float32.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    with _opened_weights(folder) as file:
        keys = [key for key in file.keys() if key.startswith(prefixes or "")]  # noqa: SIM118
        found = {key: file.get_tensor(key) for key in keys}
    return {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in found.items()}


@contextmanager
def _opened_weights(folder: Path) -> Iterator[Any]:
    path = folder / WEIGHTS_FILE
    try:
        with safetensors.safe_open(path, framework="np") as file:
            yield file
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"cannot read weights {str(path)!r}: {error}") from None


def check_shapes(
    expected: Mapping[str, Shaped], shapes: Mapping[str, tuple[int, ...]], where: str
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
    root = hub_folder(name, [f"{p}{f}" for p in ("", f"{kind}/") for f in HUB_FILES])
    for candidate in (root / kind, root):
        if (candidate / CONFIG_FILE).is_file():
            return candidate
    raise CheckpointError(f"the hub model {name!r} holds no {kind}")


HUB_FILES = (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE, "*.onnx")
