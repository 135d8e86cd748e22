"""Where training runs, and in which precision."""

from __future__ import annotations

import torch

from bandtok.errors import ConfigError

PRECISIONS = ("float32", "bfloat16")


def training_device(name: str) -> torch.device:
    """Return the device of this name; "auto" is an accelerator if there is one.

    Raises:
        ConfigError: if there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"got device {name!r}; expected auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"got device {name!r}, but no GPU is available; use --set device=auto")
    return device


def check_precision(precision: str) -> None:
    """Raise ConfigError for an unknown precision."""
    if precision not in PRECISIONS:
        raise ConfigError(f"got precision {precision!r}; expected {' or '.join(PRECISIONS)}")


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return a context in which matrix products and convolutions use this precision.

    Args:
        device: where they run.
        precision: "float32" or "bfloat16".

    Raises:
        ConfigError: for another precision.
    """
    check_precision(precision)
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
