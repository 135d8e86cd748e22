"""The weights of the installed `musicnn` package, as those of :class:`MusicnnNetwork`.

The package is found, not imported: it would need TensorFlow and a numpy of 2019.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bandtok.errors import CheckpointError, MissingDependency
from bandtok.tagger.network import MusicnnNetwork
from bandtok.tagger.tensor_bundle import TensorBundle

MUSICNN_PACKAGE = "musicnn"
_NORMS = {
    "input_norm": "batch_normalization",
    **{f"front.{i}.norm": f"batch_normalization_{i + 1}" for i in range(5)},
    **{f"middle.{i}.norm": f"batch_normalization_{i + 6}" for i in range(3)},
    "pool_norm": "batch_normalization_9",
    "dense_norm": "batch_normalization_10",
}
_WEIGHTED = {
    "front.0.conv": "conv2d",
    **{f"front.{i}.conv": f"conv2d_{i}" for i in range(1, 5)},
    **{f"middle.{i}.conv": f"conv2d_{i + 5}" for i in range(3)},
    "dense": "dense",
    "output": "dense_1",
}
_NORM_PARTS = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def read_musicnn(checkpoint: str, num_labels: int) -> MusicnnNetwork:
    """Build the network with the weights of one of the package's checkpoints.

    Args:
        checkpoint: folder inside the package, e.g. "MTT_musicnn".
        num_labels: tags of that checkpoint.

    Raises:
        MissingDependency: if the package is not installed.
        CheckpointError: if the files are missing, damaged or of other shapes.
    """
    bundle = TensorBundle(f"{musicnn_folder() / checkpoint}/")
    network = MusicnnNetwork(num_labels)
    found = dict(_converted(bundle))
    for name, expected in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            found[name] = expected
        elif found[name].shape != expected.shape:
            raise CheckpointError(
                f"{checkpoint}: {name!r} has shape {tuple(found[name].shape)}; "
                f"expected {tuple(expected.shape)}"
            )
    network.load_state_dict(found)
    return network


def musicnn_folder() -> Path:
    """Return the folder of the installed package.

    Raises:
        MissingDependency: if it is not installed.
    """
    spec = importlib.util.find_spec(MUSICNN_PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingDependency(
            "the music tagger needs the weights of musicnn; install them with "
            "pip install --no-deps musicnn"
        )
    return Path(spec.origin).parent


def _converted(bundle: TensorBundle) -> Iterator[tuple[str, Tensor]]:
    for name, stored in _NORMS.items():
        for part, stored_part in _NORM_PARTS.items():
            yield f"{name}.{part}", _tensor(bundle.read(f"{stored}/{stored_part}"))
    for name, stored in _WEIGHTED.items():
        yield f"{name}.bias", _tensor(bundle.read(f"{stored}/bias"))
        yield f"{name}.weight", _tensor(_transposed(bundle.read(f"{stored}/kernel"), name))


def _transposed(kernel: np.ndarray, name: str) -> np.ndarray:
    """Put a kernel's outputs first, as torch has it.

    The layers over time are images of one channel there, as wide as the channels before them.
    """
    if name.startswith("middle") and kernel.ndim == 4:  # [frames, channels in, 1, channels out]
        return kernel[:, :, 0].transpose(2, 1, 0)
    if kernel.ndim == 4:  # [frames, bins, 1, filters]
        return kernel.transpose(3, 2, 0, 1)
    return kernel.T


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
