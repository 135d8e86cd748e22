"""The example for HARP: what its one function does with the fields."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import soundfile

import bandtok

APP = Path(__file__).parents[2] / "examples" / "harp" / "app.py"


@pytest.fixture
def process(model: bandtok.MusicModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(bandtok.MusicModel, "from_pretrained", lambda: model)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return runpy.run_path(str(APP))["process"]


def test_generate_continue_and_edit(process: Any, song: bytes, tmp_path: Path) -> None:
    (tmp_path / "song.wav").write_bytes(song)
    path = str(tmp_path / "song.wav")
    lengths = [
        soundfile.info(process(*arguments)).duration
        for arguments in (
            (None, "piano", 0, 0, 0, 0, 1, -1),
            (path, "piano", 0, 0, 0, 0, 1, 3),
            (path, "piano", 0.5, 1, 2000, 0, 0, 3),
        )
    ]
    assert lengths == pytest.approx([1, 3, 2], abs=0.1)
    with pytest.raises(bandtok.BandTokError, match="got a region from 9"):
        process(path, "piano", 9, 0, 0, 0, 0, 3)
