"""Where training runs."""

from __future__ import annotations

import torch

from bandtok.errors import ConfigError


def training_device(name: str) -> torch.device:
    """Return the device of this name; "auto" is an accelerator if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return a context in which matrix products and convolutions use this precision.

    Args:
        device: where they run.
        precision: "float32" or "bfloat16".

    Raises:
        ConfigError: for another precision.
    """
    if precision not in ("float32", "bfloat16"):
        raise ConfigError(f"got precision {precision!r}; expected float32 or bfloat16")
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
