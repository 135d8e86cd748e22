"""`bandtok evaluate`: a report on disk, a table or JSON on stdout, errors in one line."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]
MakeSong = Callable[..., Path]


def test_reconstruction_writes_a_report(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    make_song("music/a.wav")
    result = run(
        *("evaluate", "reconstruction", tmp_path / "music", "--output", tmp_path / "report"),
        *("--model", "debug", "--split", "all", "--duration", "0.2"),
        *("--system", "mel-only", "--system", "griffin-lim"),
    )
    assert result.exit_code == 0, result.output
    assert "mel-only" in result.stdout
    assert (tmp_path / "report" / "report.html").is_file()


def test_audio_is_saved_and_measured_again(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    make_song("music/a.wav")
    arguments = (
        *("evaluate", "reconstruction", tmp_path / "music", "--output", tmp_path / "report"),
        *("--model", "debug", "--split", "all", "--duration", "0.2", "--system", "bandtok"),
    )
    result = run(*arguments, "--save-audio", tmp_path / "audio", "--si-sdr", "--json")
    assert result.exit_code == 0, result.output
    first = json.loads(result.stdout)["means"]["bandtok"]
    assert "si_sdr" in first
    names = [[file.name for file in folder.iterdir()] for folder in (tmp_path / "audio").iterdir()]
    assert names[0] == names[1]
    again = f"peer={tmp_path / 'audio' / 'bandtok'}"
    result = run(*arguments, "--system-audio", again)
    assert result.exit_code == 0, result.output
    for word in ("peer", "flicker", "onsets per second", "peak"):
        assert word in result.stdout
    assert "SI-SDR" not in result.stdout
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert document["means"]["peer"]["mel"] == first["mel"]
    result = run(*arguments, "--system-audio", "peer=absent")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "'absent' is not a folder" in result.stderr


def test_json_is_the_whole_report(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    make_song("music/a.wav")
    result = run(
        *("evaluate", "reconstruction", tmp_path / "music", "--output", tmp_path / "report"),
        *("--model", "debug", "--split", "all", "--system", "mel-only", "--json"),
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["rows"][0]["measures"]["mel-only"]["mel"] > 0


def test_tokens_counts_every_band(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    make_song("music/a.wav")
    result = run(
        *("evaluate", "tokens", tmp_path / "music", "--output", tmp_path / "report"),
        *("--model", "debug", "--split", "all", "--json"),
    )
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["usage"]["bands"]) == 16


def test_tokens_are_scored_by_a_language_model(
    run: Run, make_song: MakeSong, tmp_path: Path
) -> None:
    make_song("music/a.wav", samples=70_000)
    arguments = (
        *("evaluate", "tokens", tmp_path / "music", "--output", tmp_path / "report", "--quiet"),
        *("--model", "debug", "--split", "all", "--lm", "debug", "--lm-windows", 2),
        *("--max-frames", 17, "--seed", 1),
    )
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    for heading in ("other rows, corrected", "perplexity"):
        assert heading in result.stdout
    assert (tmp_path / "report" / "profiles.png").exists()
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert document["dependence"]["num_frames"] == 17
    assert document["language_model"]["num_windows"] == 2
    result = run(*arguments[:-4], "--max-frames", 18)
    assert result.exit_code == 1
    assert "got 17 frames" in result.stderr


def test_an_unknown_system_is_one_line(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    make_song("music/a.wav")
    result = run(
        *("evaluate", "reconstruction", tmp_path / "music", "--output", tmp_path / "report"),
        *("--model", "debug", "--split", "all", "--system", "magic"),
    )
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "magic" in result.stderr


@pytest.mark.skipif(
    importlib.util.find_spec("musicnn") is None,
    reason="musicnn is not installed: pip install --no-deps musicnn",
)
def test_generation_judges_a_folder(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    for number in range(2):
        make_song(f"clips/{number}.wav", samples=30_000)
    result = run(
        *("evaluate", "generation", tmp_path / "clips", "--reference", tmp_path / "clips"),
        *("--output", tmp_path / "report", "--split", "all", "--json"),
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["sets"][0]["measures"]["frozen"] == 2
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.skipif(
    importlib.util.find_spec("musicnn") is None,
    reason="musicnn is not installed: pip install --no-deps musicnn",
)
def test_an_embedder_without_weights_is_one_line(
    run: Run, make_song: MakeSong, tmp_path: Path
) -> None:
    make_song("clips/a.wav", samples=30_000)
    result = run(
        *("evaluate", "generation", tmp_path / "clips", "--reference", tmp_path / "clips"),
        *("--output", tmp_path / "report", "--split", "all", "--embedder", "vggish:absent.pth"),
    )
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "no VGGish weights at 'absent.pth'" in result.stderr


def test_generation_without_clips_is_one_line(run: Run, tmp_path: Path) -> None:
    result = run(
        *("evaluate", "generation", tmp_path, "--reference", tmp_path),
        *("--output", tmp_path / "report"),
    )
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
