"""Stereo on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from bandtok.signal.audio import Audio, load_audio, probe_audio
from bandtok.tokens.grid import TokenGrid

Run = Callable[..., Result]
DEBUG = ("--model", "debug", "--device", "cpu")


def make_song(path: Path, channels: int) -> Path:
    time = np.arange(30_000) / 44_100
    rows = [0.2 * np.sin(2 * np.pi * 300 * (i + 1) * time) for i in range(channels)]
    Audio(np.stack(rows), 44_100).save(path)
    return path


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return make_song(tmp_path / "song.wav", 2)


def test_encode_info_decode(run: Run, song: Path, tmp_path: Path) -> None:
    tokens = tmp_path / "t.btk"
    result = run("encode", song, "-o", tokens, "--stereo", *DEBUG)
    assert result.exit_code == 0
    assert "32 x 8 tokens, stereo, 2067 bit/s\n" in result.stdout
    assert TokenGrid.load(tokens).channels == 2
    shown = run("info", tokens).stdout
    assert "2 channels, pan rows" in shown
    assert "16 bands + 16 pan rows x 8 frames" in shown
    values = json.loads(run("info", tokens, "--json").stdout)
    assert (values["channels"], values["bands"], values["pan_rows"]) == (2, 16, 16)
    assert values["bit_rate_bps"] == pytest.approx(2067.19, abs=0.01)
    assert len(values["usage"]["used_codes_by_band"]) == 16
    assert run("verify", tokens).exit_code == 0
    result = run("decode", tokens, "-o", tmp_path / "s.wav", "--json", *DEBUG)
    assert json.loads(result.stdout)["files"][0]["channels"] == 2
    assert probe_audio(tmp_path / "s.wav").channels == 2
    run("decode", tokens, "-o", tmp_path / "m.wav", "--mono", *DEBUG)
    two, one = (load_audio(tmp_path / name).waveform for name in ("s.wav", "m.wav"))
    assert (len(two), len(one)) == (2, 1)
    assert two.shape[1] == one.shape[1] == 30_000
    assert np.abs(two[0] - two[1]).max() > 1e-3


def test_mono_is_the_default_and_says_so(run: Run, song: Path, tmp_path: Path) -> None:
    result = run("encode", song, "-o", tmp_path / "t.btk", *DEBUG)
    assert "16 x 8 tokens, 1034 bit/s, 2 channels mixed to mono" in result.stdout
    assert TokenGrid.load(tmp_path / "t.btk").channels == 1


def test_reconstruct_measures_both_channels(run: Run, song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    picture = tmp_path / "p.png"
    result = run("reconstruct", song, "-o", out, "--stereo", "--json", "--plot", picture, *DEBUG)
    (entry,) = json.loads(result.stdout)["files"]
    assert (entry["channels"], entry["tokens"], entry["source_channels"]) == (2, 256, 2)
    assert entry["bit_rate_bps"] == pytest.approx(2067.19, abs=0.01)
    assert entry["mel_distance"]["all_bins"] > 0
    assert picture.is_file()
    assert probe_audio(out).channels == 2


def test_a_mono_source_is_in_the_center(run: Run, tmp_path: Path) -> None:
    song, out = make_song(tmp_path / "mono.wav", 1), tmp_path / "out.wav"
    result = run("reconstruct", song, "-o", out, "--stereo", *DEBUG)
    assert "mono in the center" in result.stdout
    left, right = load_audio(out).waveform
    np.testing.assert_array_equal(left, right)


def test_more_channels_are_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    song = make_song(tmp_path / "many.wav", 3)
    result = run("encode", song, "-o", tmp_path / "t.btk", "--stereo", *DEBUG)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "3 channels" in result.stderr
    assert not (tmp_path / "t.btk").exists()


@pytest.mark.filterwarnings("default")
def test_what_was_mended_is_said_once_for_each_file(run: Run, tmp_path: Path) -> None:
    for name in ("a/1.wav", "b/1.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        left = load_audio(make_song(tmp_path / name, 1)).waveform
        Audio(np.tile(np.concatenate([left, -left]), 2), 44_100).save(tmp_path / name)
    told = run("reconstruct", tmp_path, "-o", tmp_path / "out", *DEBUG)
    assert told.exit_code == 0
    lines = [line for line in told.stderr.splitlines() if "inverted right" in line]
    assert [line.split(": ")[1] for line in lines] == [
        str(tmp_path / name) for name in ("a/1.wav", "b/1.wav")
    ]
    quiet = run("encode", tmp_path / "a", "-o", tmp_path / "out2", "-q", *DEBUG)
    assert (quiet.exit_code, quiet.stderr) == (0, "")
