"""What the command-line tests share: a way to run the program, and small sounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from bandtok.cli.main import app
from bandtok.signal.audio import Audio

Run = Callable[..., Result]
MakeSong = Callable[..., Path]


@pytest.fixture
def run() -> Run:
    """Run the program in this process; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture
def make_song(tmp_path: Path) -> MakeSong:
    """Write a short sound below tmp_path."""

    def make(name: str = "song.wav", samples: int = 20_000, sample_rate: int = 44_100) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(samples) / sample_rate
        Audio(0.3 * np.sin(2 * np.pi * 440 * time)[None], sample_rate).save(path)
        return path

    return make
