"""Numbers and pictures of a run: to metrics.jsonl, train.log, and tensorboard if installed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError:  # the extra `train` is not installed
    SummaryWriter = None  # type: ignore[assignment, misc]


class Tracker:
    """Writes into a run folder; used as a context manager.

    Args:
        out: the run folder; made if need be.
        on_line: called with every line of train.log, and whether to keep it in view.
    """

    def __init__(self, out: Path, on_line: Callable[[str, bool], None] | None = None) -> None:
        self._on_line = on_line
        out.mkdir(parents=True, exist_ok=True)
        self._file = open(out / "metrics.jsonl", "a", encoding="utf-8")  # noqa: SIM115
        self._log = open(out / "train.log", "a", encoding="utf-8")  # noqa: SIM115
        self._board: Any = (
            SummaryWriter(str(out / "tensorboard")) if SummaryWriter is not None else None
        )

    def numbers(self, part: str, step: int, minutes: float, numbers: Mapping[str, float]) -> None:
        """Log numbers of `part` ("train" or "valid") after `step` steps."""
        rounded = {name: float(f"{value:.6g}") for name, value in numbers.items()}
        line = {"part": part, "step": step, "minutes": round(minutes, 2), **rounded}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if self._board:
            for name, value in numbers.items():
                self._board.add_scalar(f"{part}/{name}", value, step)

    def line(self, text: str, *, keep: bool) -> None:
        """Append a line to train.log, after the local time; `keep` is for `on_line`."""
        self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._log.flush()
        if self._on_line:
            self._on_line(text, keep)

    def image(self, name: str, step: int, image: np.ndarray) -> None:
        """Log an image, uint8 [height, width, 3]."""
        if self._board:
            self._board.add_image(name, image, step, dataformats="HWC")

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._log.close()
        if self._board:
            self._board.close()


def progress_line(
    step: int, steps: int, seconds_per_step: float, numbers: Mapping[str, float]
) -> str:
    """Return steps done, speed, time left and the main loss, the first of `numbers`."""
    speed = f"{seconds_per_step:.1f} s/step"
    if seconds_per_step < 1:
        speed = f"{1 / max(seconds_per_step, 1e-9):.1f} steps/s"
    left = timedelta(seconds=round((steps - step) * seconds_per_step))
    name, value = next(iter(numbers.items()))
    return f"step {step}/{steps}, {speed}, {left} left, {name} {value:.4g}"


def validation_line(step: int, steps: int, numbers: Mapping[str, float]) -> str:
    """Return the first two numbers of a validation as one line."""
    first = [f"{name} {value:.4g}" for name, value in list(numbers.items())[:2]]
    return f"step {step}/{steps}, validation: {', '.join(first)}"
