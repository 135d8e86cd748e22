"""The precision that training computes in."""

from __future__ import annotations

import torch

from bandtok.errors import ConfigError

PRECISIONS = ("float32", "bfloat16")


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
