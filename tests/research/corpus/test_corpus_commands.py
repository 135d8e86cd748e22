"""The programs that build corpora."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from research.corpus.__main__ import app


def test_openmusic_command_wants_its_folder_of_packages(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["openmusic", "--output", str(tmp_path), "--packages-from", str(tmp_path / "nowhere")]
    )
    assert result.exit_code == 1
    assert "nowhere" in result.stderr


def test_rendered_command_wants_its_synthesiser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    result = CliRunner().invoke(app, ["rendered", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "fluidsynth" in result.stderr
