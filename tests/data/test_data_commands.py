from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bandtok.cli.data import app
from bandtok.data.manifest import load_manifest
from bandtok.errors import DataError

WriteTone = Callable[..., Path]


def test_manifest_command_writes_and_reports(tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav", seconds=0.2)
    (tmp_path / "b.mp3").write_bytes(b"nothing")
    result = CliRunner().invoke(app, ["manifest", str(tmp_path)])
    assert result.exit_code == 1
    assert "skipped b.mp3" in result.stderr
    assert "1 left out, 1 done" in result.stderr
    assert result.stdout.splitlines()[-1].endswith("manifest.jsonl: 1 tracks")
    assert [track.path for track in load_manifest(tmp_path)] == ["a.wav"]


def test_a_manifest_elsewhere_must_be_above_its_music(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "music" / "a.wav", seconds=0.2)
    arguments = ["manifest", str(tmp_path / "music"), "--output"]
    above = CliRunner().invoke(app, [*arguments, str(tmp_path / "all.jsonl")])
    assert above.exit_code == 0
    assert [track.path for track in load_manifest(tmp_path / "all.jsonl")] == ["music/a.wav"]
    (tmp_path / "other").mkdir()
    beside = CliRunner().invoke(app, [*arguments, str(tmp_path / "other" / "m.jsonl")])
    assert isinstance(beside.exception, DataError)
    assert not any((tmp_path / "other").iterdir())


def test_manifest_command_as_json(tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav", seconds=0.5)
    result = CliRunner().invoke(app, ["manifest", str(tmp_path), "--json"])
    facts = json.loads(result.stdout)
    assert facts["tracks"] == 1
    assert sum(facts["hours"].values()) * 3600 == pytest.approx(0.5, abs=0.01)


def test_manifest_command_without_audio_fails(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["manifest", str(tmp_path)])
    assert isinstance(result.exception, DataError)
    assert not any(tmp_path.iterdir())


def test_tokenize_command_writes_shards_and_goes_on(tmp_path: Path, write_tone: WriteTone) -> None:
    (tmp_path / "audio").mkdir()
    write_tone(tmp_path / "audio" / "a.wav", seconds=1.0)
    arguments = ["tokenize", str(tmp_path / "audio"), "--output", str(tmp_path / "shards")]
    for offsets, frames in ((1, 10), (2, 20)):
        options = ["--model", "debug", "--device", "cpu", "--offsets", str(offsets)]
        result = CliRunner().invoke(app, [*arguments, *options], catch_exceptions=False)
        assert result.exit_code == 0
        expected = f"shards: {offsets} shards, {frames * 16:,} tokens"
        assert result.stdout.strip().endswith(expected)
    assert len(list((tmp_path / "shards" / "codes").iterdir())) == 2


def test_several_corpora_in_one_folder_of_shards(tmp_path: Path, write_tone: WriteTone) -> None:
    for name in ("one", "two"):
        write_tone(tmp_path / name / "a.wav", seconds=1.0)
    options = ["--model", "debug", "--device", "cpu", "--offsets", "2", "--gain-db", "0"]
    options += ["--gain-db", "-6", "--semitones", "0", "--semitones", "1", "--json"]
    folders = [str(tmp_path / "one"), str(tmp_path / "two")]
    arguments = ["tokenize", *folders, "--output", str(tmp_path / "shards"), *options]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert json.loads(result.stdout)["shards"] == 4


def test_captions_command_prints_what_is_known(tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "audio" / "calm_waters.wav", seconds=2.0)
    arguments = ["--model", "debug", "--device", "cpu", "--output", str(tmp_path / "shards")]
    app_runner = CliRunner()
    app_runner.invoke(app, ["tokenize", str(tmp_path / "audio"), *arguments])
    asked = ["captions", str(tmp_path / "shards"), "--frames", "4", "--count", "3"]
    result = app_runner.invoke(app, asked, catch_exceptions=False)
    assert result.stdout.splitlines() == ["calm"] * 3
    assert app_runner.invoke(app, [*asked, "--vary", "1"]).exit_code == 0
    missing = app_runner.invoke(app, [*asked, "--source", "nowhere"])
    assert isinstance(missing.exception, DataError)


def test_describe_command(tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav", seconds=2.0)
    arguments = ["describe", str(tmp_path), "--no-tagger"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.stdout.strip().endswith("attributes.jsonl: 1 tracks")


def test_files_of_a_plain_folder_that_cannot_be_read_fail_the_command(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    music = tmp_path / "music"
    write_tone(music / "a.wav", seconds=1.0)
    (music / "b.flac").write_bytes(b"nothing")
    for arguments in (
        ["describe", str(music), "--no-tagger"],
        ["tokenize", str(music), "--output", str(tmp_path / "out"), "--model", "debug"],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 1
        assert "left out b.flac: " in result.stderr
        assert "1 left out, 1 done" in result.stderr
    (music / "a.wav").unlink()
    nothing = CliRunner().invoke(app, ["manifest", str(music)])
    assert "1 files tried, the first one: cannot read 'b.flac'" in str(nothing.exception)
