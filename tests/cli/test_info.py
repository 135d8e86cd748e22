"""`bandtok info` and `bandtok verify`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from bandtok.provenance import record
from bandtok.signal.audio import Audio
from bandtok.tokens.grid import TokenGrid
from bandtok.tokens.token_format import file_bytes
from bandtok.tokens.token_header import TokenFileHeader
from research.reliability.raw_token_file import RawFile

Run = Callable[..., Result]
MakeSong = Callable[..., Path]
TOY_HEADER = (
    b'{"bands":2,"codebook_size":4,"model_id":"toy","num_samples":null,"sample_rate":44100,'
    b'"samples_per_frame":4096}'
)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    codes = np.arange(16 * 600).reshape(16, 600) % 4096
    grid = TokenGrid(
        codes=codes,
        codebook_size=4096,
        num_samples=599 * 4096 + 1,
        model_id="toy",
        fingerprint="f00d",
        extra={"title": "A song", "encode_mode": {"device": "cpu"}},
    )
    grid.save(tmp_path / "a.btk")
    return tmp_path / "a.btk"


def test_info_for_people(run: Run, tokens: Path) -> None:
    result = run("info", tokens)
    assert result.exit_code == 0
    for part in ("toy f00d", "0:56", "16 bands x 600 frames", "4096 entries", "2067.2 bit/s"):
        assert part in result.stdout
    assert "A song" in result.stdout


def test_info_as_json(run: Run, tokens: Path) -> None:
    values = json.loads(run("info", tokens, "--json").stdout)
    assert values["frames"] == 600
    assert values["num_samples"] == 599 * 4096 + 1
    assert values["bit_rate_bps"] == pytest.approx(2067.1875)
    assert values["usage"]["used_codes"] == 4096
    assert len(values["usage"]["used_codes_by_band"]) == 16
    assert values["encode_mode"] == {"device": "cpu"}
    assert values["size_bytes"] == tokens.stat().st_size


def test_verify(run: Run, tokens: Path, tmp_path: Path) -> None:
    result = run("verify", tokens)
    assert (result.exit_code, result.stdout) == (0, f"{tokens}: whole, 600 frames, 3 blocks\n")
    damaged = tmp_path / "b.btk"
    damaged.write_bytes(tokens.read_bytes()[:-1])
    result = run("verify", tokens, damaged)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"bandtok: {damaged}: ")
    result = run("verify", tokens, damaged, "--json")
    assert result.exit_code == 1
    values = json.loads(result.stdout)
    assert values["damaged"] == 1
    assert values["files"][1]["problem"] == "Truncated"
    assert run("verify", tokens, "--quiet").stdout == ""


def test_salvage(run: Run, tokens: Path, tmp_path: Path) -> None:
    damaged, kept = tmp_path / "b.btk", tmp_path / "kept.btk"
    damaged.write_bytes(tokens.read_bytes()[:14_000])
    result = run("verify", damaged, "--salvage", kept)
    assert result.exit_code == 0
    np.testing.assert_array_equal(TokenGrid.load(kept).codes, TokenGrid.load(tokens).codes[:, :512])
    assert run("verify", damaged, "--salvage", kept).exit_code == 1
    again = run("verify", damaged, "--salvage", kept, "--overwrite", "--json")
    assert json.loads(again.stdout)["frames"] == 512
    damaged.write_bytes(tokens.read_bytes()[:3_000])  # the first block is cut
    nothing = run("verify", damaged, "--salvage", tmp_path / "none.btk")
    assert (nothing.exit_code, len(nothing.stderr.splitlines())) == (1, 1)
    assert "nothing is written" in nothing.stderr
    assert not (tmp_path / "none.btk").exists()


def test_info_of_a_hostile_header(run: Run, tmp_path: Path) -> None:
    """Neither the sizes nor the texts of a stranger's header reach memory or terminal unchecked."""
    path = tmp_path / "a.btk"
    header = TokenFileHeader(
        codebook_size=2**31 - 1,
        bands=65535,
        sample_rate=1,
        samples_per_frame=1,
        num_samples=0,
        model_id="\x1b[2J\nname",
        extra={"\x1b]0;t\x07": "\x9b31m"},
    )
    path.write_bytes(file_bytes(header, np.zeros((65535, 0), np.int32)))
    result = run("info", path)
    assert result.exit_code == 0
    assert "\\x1b[2J name" in result.stdout
    assert all(line.isprintable() for line in result.stdout.splitlines())
    result = run("info", path, "--json")
    assert json.loads(result.stdout)["model_id"] == "\x1b[2J\nname"


def test_info_of_half_surrogates(run: Run, tmp_path: Path) -> None:
    text = TOY_HEADER.replace(b'"toy"', rb'"\ud800"')
    path = tmp_path / "a.btk"
    path.write_bytes(RawFile(header=text).to_bytes())
    result = run("info", path)
    assert result.exit_code == 0
    assert r"\ud800" in result.stdout
    result = run("info", path, "--json")
    assert json.loads(result.stdout)["model_id"] == "\ud800"


def test_salvage_never_writes_over_the_damaged_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    path.write_bytes(RawFile(header=TOY_HEADER).to_bytes()[:-1])
    before = path.read_bytes()
    (tmp_path / "link.btk").symlink_to("a.btk")
    for target in (path, tmp_path / "link.btk"):
        result = run("verify", path, "--salvage", target, "--overwrite")
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert path.read_bytes() == before


def test_info_of_audio_says_whether_it_is_marked(run: Run, make_song: MakeSong) -> None:
    song = make_song()
    assert "not marked as synthetic" in run("info", song).stdout
    marked = record("edit", model="m", prompt="bells", seed=5, settings={}, source={"seed": 4})
    Audio(np.zeros(100, np.float32), 44_100, marked).save(song)
    shown = run("info", song).stdout
    assert "trainedAlgorithmicMedia" in shown
    assert re.search(r"source provenance\.seed +4", shown)
    assert json.loads(run("info", song, "--json").stdout)["provenance"] == marked
