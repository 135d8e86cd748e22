"""`bandtok info` and `bandtok verify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from bandtok.grid import TokenGrid

Run = Callable[..., Result]


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
