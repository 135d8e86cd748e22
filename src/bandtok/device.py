"""Where torch computes: devices by name, and the number of threads."""

from __future__ import annotations

import torch

from bandtok.errors import ConfigError


def choose_device(device: str) -> str:
    """Return the torch device for "auto" (CUDA where there is one, else the CPU), or check a name.

    Raises:
        ConfigError: if the name is unknown or there is no such device here.
    """
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if device == "auto":
        return "cuda" if available["cuda"] else "cpu"
    if not available.get(device, False):
        usable = ", ".join(["auto", *(name for name, there in available.items() if there)])
        raise ConfigError(f"got device {device!r}; expected one of {usable} on this machine")
    return device


def use_threads(number: int) -> None:
    """Set the number of threads of one operator on the CPU, for the whole process."""
    torch.set_num_threads(number)
