"""`bandtok edit` with the tiny random model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

import bandtok
from bandtok.signal.audio import probe_audio
from bandtok.signal.mel import mel_bin_centers_hz

Run = Callable[..., Result]
MakeSong = Callable[..., Path]
DEBUG = ("--model", "debug", "--device", "cpu")


@pytest.fixture
def tokens(run: Run, make_song: MakeSong, tmp_path: Path) -> Path:
    target = tmp_path / "song.btk"
    result = run("encode", make_song(samples=30_000), "-o", target, *DEBUG)
    assert result.exit_code == 0, result.stderr
    return target


def test_only_the_region_changes_and_the_seed_decides_how(
    run: Run, tokens: Path, tmp_path: Path
) -> None:
    region = ("--region", "0.2-0.5,-6000", "--prompt", "loud drums")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        target = tmp_path / f"{name}.btk"
        result = run("edit", tokens, "-o", target, *region, "--seed", seed, *DEBUG)
        assert result.exit_code == 0, result.stderr
    before = bandtok.TokenGrid.load(tokens)
    a, b, c = (bandtok.TokenGrid.load(tmp_path / f"{name}.btk") for name in "abc")
    model = bandtok.MusicModel.from_pretrained("debug", device="cpu")
    centers = mel_bin_centers_hz(model.tokenizer.config.mel)
    cells = bandtok.Region(seconds=(0.2, 0.5), hertz=(0, 6000)).cells(before, centers)
    assert cells.any()
    assert not cells.all()
    np.testing.assert_array_equal(a.codes[~cells], before.codes[~cells])
    np.testing.assert_array_equal(a.codes, b.codes)
    assert (a.codes != before.codes).any()
    assert (a.codes != c.codes).any()
    assert a.num_samples == before.num_samples


def test_audio_in_audio_and_tokens_out(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    song, target = make_song(samples=20_000), tmp_path / "new" / "a.flac"
    regions = ("--region", "0-0.1", "--region", "0.3-,2000-")
    arguments = ("edit", song, "-o", target, *regions, "--save-tokens", "--json", *DEBUG)
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["target"] == str(target)
    assert told["tokens"] == str(target.with_suffix(".btk"))
    assert probe_audio(target).seconds == pytest.approx(20_000 / 44_100, abs=1e-4)
    again = run(*arguments)
    assert again.exit_code == 1
    assert "--overwrite" in again.stderr
    assert run(*arguments, "--overwrite").exit_code == 0


def test_stereo_tokens_keep_their_pan_rows(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    stereo, target = tmp_path / "s.btk", tmp_path / "e.btk"
    assert run("encode", make_song(), "-o", stereo, "--stereo", *DEBUG).exit_code == 0
    result = run("edit", stereo, "-o", target, "--region", "0-", *DEBUG)
    assert result.exit_code == 0, result.stderr
    before, after = bandtok.TokenGrid.load(stereo), bandtok.TokenGrid.load(target)
    assert after.channels == 2
    bands = before.num_bands
    np.testing.assert_array_equal(after.codes[bands:], before.codes[bands:])
    assert (after.codes[:bands] != before.codes[:bands]).any()


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ("5-6", "inside the piece's"),
        ("0-1,30000-", "below 22050 Hz"),
        ("0.3-0.3", "expected a start of 0 or more"),
        ("0.5-0.2", "expected a start of 0 or more"),
        ("nan-1", "expected START-END"),
        ("", "expected START-END"),
    ],
)
def test_regions_that_are_none_are_one_line(
    run: Run, tokens: Path, tmp_path: Path, region: str, message: str
) -> None:
    target = tmp_path / "a.wav"
    result = run("edit", tokens, "-o", target, f"--region={region}", *DEBUG)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert not target.exists()


def test_wrong_usage(run: Run, tokens: Path, tmp_path: Path) -> None:
    assert run("edit", tokens, "-o", tmp_path / "a.txt", "--region", "0-", *DEBUG).exit_code == 2
    assert run("edit", tokens, "-o", tmp_path / "a.wav", *DEBUG).exit_code == 2
    over = run("edit", tokens, "-o", tokens, "--region", "0-", "--overwrite", *DEBUG)
    assert over.exit_code == 2
    missing = run("edit", tmp_path / "no.wav", "-o", tmp_path / "a.wav", "--region", "0-", *DEBUG)
    assert missing.exit_code == 1
    assert len(missing.stderr.splitlines()) == 1


@pytest.mark.filterwarnings("default")
def test_a_prompt_that_is_too_long_is_used_in_part_and_said_so(
    run: Run, tokens: Path, tmp_path: Path
) -> None:
    arguments = ("edit", tokens, "--region", "0-", "--prompt", "drum " * 2000, *DEBUG)
    result = run(*arguments, "-o", tmp_path / "a.wav")
    assert result.exit_code == 0
    assert "only the beginning of the prompt" in result.stderr
    assert "beginning" not in run(*arguments, "-o", tmp_path / "b.wav", "--quiet").stderr
