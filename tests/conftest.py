"""Fixtures of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

WriteTone = Callable[..., Path]

# Two processes that fill numba's cache at once can leave it broken for good, and librosa then ends
# in a segmentation fault: each worker has a cache of its own.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
_CACHE = Path(__file__).parents[1] / ".pytest_cache" / "numba" / _WORKER
os.environ["NUMBA_CACHE_DIR"] = str(_CACHE)  # workers inherit what the controller has set


@pytest.fixture
def write_tone() -> WriteTone:
    """Return a function that writes a short tone with some noise."""

    def write(
        path: Path,
        seconds: float = 1.0,
        hertz: float = 440.0,
        rate: int = 44_100,
        peak: float = 0.5,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(round(seconds * rate)) / rate
        noise = np.random.default_rng(round(hertz)).normal(size=len(time))
        tone = np.sin(2 * np.pi * hertz * time) + 0.001 * noise
        soundfile.write(path, peak * tone / np.abs(tone).max(), rate)
        return path

    return write
