"""Where training runs."""

from __future__ import annotations

import torch


def training_device(name: str) -> torch.device:
    """Return the device of this name; "auto" is an accelerator if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
