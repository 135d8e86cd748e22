"""Shared by pretrained evaluators: input audio, weights read as data, a run in batches.

waveform [samples] at any rate -> samples at theirs;  a file of weights -> its tensors
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from bandtok.errors import AudioError, CheckpointError
from bandtok.signal.audio import Audio

_BATCH = 8


def mono_samples(waveform: Tensor | np.ndarray, sample_rate: int, target_rate: int) -> np.ndarray:
    """Return a mono waveform [samples] at another rate, float32 [samples], at least one.

    Raises:
        AudioError: if it is not mono, empty, too short to resample, or holds NaN or infinity.
    """
    values = waveform.detach().cpu().numpy() if isinstance(waveform, Tensor) else waveform
    if values.ndim != 1 or not len(values):
        raise AudioError(
            f"got a waveform of shape {values.shape}; expected mono samples [samples], at least one"
        )
    samples = Audio(values[None], sample_rate).resampled(target_rate).waveform[0]
    if not len(samples):
        raise AudioError(f"got {len(values)} samples at {sample_rate} Hz; too few to resample")
    result: np.ndarray = samples
    return result


@torch.no_grad()
def run_in_batches(network: nn.Module, patches: Tensor, device: str) -> np.ndarray:
    """Return what a network makes of patches [patches, ...], a few at a time: [patches, ...]."""
    batches = patches.split(_BATCH)
    return torch.cat([network(batch.to(device)).cpu() for batch in batches]).numpy()


def read_plain_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file of weights, by name, without running code from the file.

    It is a .safetensors file, or a torch checkpoint: a state dict, or a tuple that begins with one
    (states, metadata).

    Raises:
        CheckpointError: if it is missing or damaged, or holds more than tensors and numbers.
    """
    try:
        states = load_file(path) if path.suffix == ".safetensors" else _read_torch(path)
        if all(isinstance(value, Tensor) for value in states.values()):
            return dict(states)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"cannot read {path}: {reason}") from None
    raise CheckpointError(f"{path} holds more than tensors; expected a network's weights")


def _read_torch(path: Path) -> dict[str, Any]:
    # A numpy number is its type and its bytes; torch lets nothing else through.
    make_number = np.int64(0).__reduce__()[0]
    allowed: list[Any] = [
        make_number,
        (make_number, "numpy.core.multiarray.scalar"),  # its name before numpy 2
        np.dtype,
        np.dtypes.Int64DType,
    ]
    with torch.serialization.safe_globals(allowed):
        content = torch.load(path, map_location="cpu", weights_only=True)
    result: dict[str, Any] = content[0] if isinstance(content, tuple) else content
    return result
