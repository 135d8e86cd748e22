"""`bandtok encode`, `decode` and `reconstruct` with the tiny random model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

import bandtok
from bandtok.audio import load_audio, probe_audio

Run = Callable[..., Result]
MakeSong = Callable[..., Path]
DEBUG = ("--model", "debug", "--device", "cpu")


def test_encode_then_decode_one_file(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    song, tokens, sound = make_song(), tmp_path / "t.btk", tmp_path / "s.flac"
    result = run("encode", song, "-o", tokens, *DEBUG)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{song} -> {tokens}: 0:00, ")
    grid = bandtok.TokenGrid.load(tokens)
    expected = bandtok.Tokenizer.from_pretrained("debug", device="cpu").encode(song)
    np.testing.assert_array_equal(grid.codes, expected.codes)
    result = run("decode", tokens, "-o", sound, *DEBUG, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["done"] == 1
    assert probe_audio(sound).samples == 20_000
    assert probe_audio(sound).sample_rate == 44_100


def test_a_streamed_decode_is_the_whole_decode(
    run: Run, make_song: MakeSong, tmp_path: Path
) -> None:
    tokens = tmp_path / "t.btk"
    run("encode", make_song(samples=120_000), "-o", tokens, *DEBUG)
    run("decode", tokens, "-o", tmp_path / "s.wav", *DEBUG)
    tokenizer = bandtok.Tokenizer.from_pretrained("debug", device="cpu")
    whole = tokenizer.decode(bandtok.TokenGrid.load(tokens)).waveform
    streamed = load_audio(tmp_path / "s.wav").waveform
    np.testing.assert_allclose(streamed, np.clip(whole, -1, 1), atol=1e-4)


def test_a_folder_with_a_broken_file(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    make_song("in/a.wav")
    make_song("in/deep/b.flac", sample_rate=22_050)
    (tmp_path / "in" / "broken.mp3").write_bytes(b"not audio at all")
    result = run("encode", tmp_path / "in", "-o", tmp_path / "tokens", *DEBUG)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "broken.mp3" in result.stderr
    made = sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "tokens").rglob("*.*"))
    assert made == ["tokens/a.btk", "tokens/deep/b.btk"]
    result = run("decode", tmp_path / "tokens", "-o", tmp_path / "out", "--format", "ogg", *DEBUG)
    assert result.exit_code == 0
    assert (tmp_path / "out" / "deep" / "b.ogg").is_file()
    result = run("decode", tmp_path / "tokens", "-o", tmp_path / "out", "--format", "ogg", *DEBUG)
    assert result.stdout == "0 done, 2 skipped, 0 failed\n"


def test_tokens_of_another_model_are_refused_unless_forced(
    run: Run, make_song: MakeSong, tmp_path: Path
) -> None:
    tokens = tmp_path / "t.btk"
    run("encode", make_song(), "-o", tokens, *DEBUG)
    grid = bandtok.TokenGrid.load(tokens)
    other = bandtok.TokenGrid(
        codes=grid.codes,
        codebook_size=grid.codebook_size,
        sample_rate=grid.sample_rate,
        samples_per_frame=grid.samples_per_frame,
        num_samples=grid.num_samples,
        fingerprint="another",
    )
    other.save(tokens)
    result = run("decode", tokens, "-o", tmp_path / "s.wav", *DEBUG)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.glob("s.wav")] == []
    assert run("decode", tokens, "-o", tmp_path / "s.wav", "--force", *DEBUG).exit_code == 0


def test_reconstruct_prints_distances_and_draws(
    run: Run, make_song: MakeSong, tmp_path: Path
) -> None:
    song, out, picture = make_song(), tmp_path / "out.wav", tmp_path / "p.png"
    result = run("reconstruct", song, "-o", out, "--plot", picture, *DEBUG)
    assert result.exit_code == 0
    assert "bit/s, mel distance " in result.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert probe_audio(out).samples == 20_000
    result = run("reconstruct", song, "-o", out, "--json", "--overwrite", *DEBUG)
    (entry,) = json.loads(result.stdout)["files"]
    assert entry["mel_distance"]["all_bins"] > 0
    assert entry["bit_rate_bps"] > 0


def test_reconstruct_a_folder(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    make_song("in/a.wav")
    make_song("in/b/c.flac")
    arguments = ("reconstruct", tmp_path / "in", "-o", tmp_path / "out")
    result = run(*arguments, "--plot", tmp_path / "plots", "--quiet", *DEBUG)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / "out" / "a.wav").is_file()
    assert (tmp_path / "out" / "b" / "c.wav").is_file()
    assert (tmp_path / "plots" / "b" / "c.png").is_file()


@pytest.mark.parametrize("verb", ["encode", "decode", "reconstruct"])
def test_a_missing_input_is_one_line(run: Run, tmp_path: Path, verb: str) -> None:
    suffix = ".btk" if verb == "encode" else ".wav"
    result = run(verb, tmp_path / "none.xyz", "-o", tmp_path / f"o{suffix}", *DEBUG)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "none.xyz" in result.stderr


def test_an_unknown_model_is_one_line(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    result = run("encode", make_song(), "-o", tmp_path / "t.btk", "--model", tmp_path / "none")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
