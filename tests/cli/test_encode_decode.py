"""`bandtok encode`, `decode` and `reconstruct` with the tiny random model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

import bandtok
from bandtok.cli.main import app
from bandtok.codec import Codec
from bandtok.signal.audio import load_audio, probe_audio
from bandtok.tokens import token_file

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


def test_a_range_is_cut_out_of_the_whole(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    tokens, whole, part = (tmp_path / name for name in ("t.btk", "whole.wav", "part.wav"))
    run("encode", make_song(), "-o", tokens, *DEBUG)
    run("decode", tokens, "-o", whole, *DEBUG)
    result = run("decode", tokens, "-o", part, "--start", "0.1", "--end", "0.25", *DEBUG)
    assert result.exit_code == 0
    expected = load_audio(whole).waveform[:, 4_410:11_025]
    np.testing.assert_array_equal(load_audio(part).waveform, expected)
    result = run("decode", tokens, "-o", tmp_path / "no.wav", "--start", "7", *DEBUG)
    assert result.exit_code == 1
    assert "expected a range inside" in result.stderr
    assert not (tmp_path / "no.wav").exists()


def test_encode_verify_reads_back(
    run: Run, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("encode", make_song(), "-o", tmp_path / "t.btk", "--verify", *DEBUG).exit_code == 0
    read = token_file.read_token_file

    def misread(path: Path) -> bandtok.TokenGrid:
        grid = read(path)
        grid.codes[3, 0] ^= 1
        return grid

    monkeypatch.setattr(token_file, "read_token_file", misread)
    result = run("encode", make_song(), "-o", tmp_path / "u.btk", "--verify", *DEBUG)
    assert result.exit_code == 1
    assert "does not hold the tokens" in result.stderr


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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_what_codecs_print_about_a_damaged_file_is_not_shown(
    run: Run, make_song: MakeSong, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    song = make_song("song.mp3")
    data = bytearray(song.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(range(200)) * 2
    song.write_bytes(data)
    load_audio(song)
    if not capfd.readouterr().err:
        pytest.skip("this libsndfile says nothing about damaged mp3 files")
    result = run("encode", song, "-o", tmp_path / "t.btk", *DEBUG)
    assert (result.exit_code, result.stderr) == (0, "")
    assert capfd.readouterr().err == ""
    os.write(2, b"open again")
    assert capfd.readouterr().err == "open again"


def test_samples_above_full_scale_are_limited_or_kept_as_floats(
    run: Run, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode_blocks = Codec.decode_blocks

    def louder(self: Codec, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in decode_blocks(self, blocks):
            yield block / np.abs(block).max() * 2

    monkeypatch.setattr(Codec, "decode_blocks", louder)
    song, tokens = make_song(), tmp_path / "a.btk"
    assert run("encode", song, "-o", tokens, "--model", "debug").exit_code == 0
    for command, source in (("decode", tokens), ("reconstruct", song)):
        target = tmp_path / f"{command}.wav"
        result = run(command, source, "-o", target, "--json", "--model", "debug")
        assert result.exit_code == 0
        (line,) = result.stderr.splitlines()
        (file,) = json.loads(result.stdout)["files"]
        assert f"{file['limited_samples']} samples above full scale were limited" in line
        assert file["limited_samples"] > 0
        assert np.abs(load_audio(target).waveform).max() <= 1.0
        floats = ("--sample-format", "float", "--overwrite", "--json", "--model", "debug")
        result = run(command, source, "-o", target, *floats)
        assert result.stderr == ""
        assert json.loads(result.stdout)["files"][0]["limited_samples"] == 0
        assert np.abs(load_audio(target).waveform).max() == pytest.approx(2.0)
        refused = run(command, source, "-o", tmp_path / "a.flac", *floats)
        assert refused.exit_code == 2


def test_encode_opens_its_source_once(
    run: Run, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song, opened, original = make_song(), [], soundfile.SoundFile

    def counted(*arguments: object, **named: object) -> soundfile.SoundFile:
        opened.append(arguments)
        return original(*arguments, **named)

    monkeypatch.setattr("bandtok.signal.audio.soundfile.SoundFile", counted)
    result = run("encode", song, "-o", tmp_path / "a.btk", "--model", "debug", "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    assert len(opened) == 1


def test_pipes_carry_what_files_would(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song()
    assert run("encode", song, "-o", tmp_path / "a.btk", *DEBUG).exit_code == 0
    piped = CliRunner().invoke(app, ["encode", "-", "-o", "-", *DEBUG], song.read_bytes())
    assert (piped.exit_code, piped.stderr) == (0, "")
    tokens = (tmp_path / "a.btk").read_bytes()
    assert piped.stdout_bytes == tokens
    run("decode", tmp_path / "a.btk", "-o", tmp_path / "a.flac", *DEBUG)
    command = ["decode", "-", "-o", "-", "--format", "flac", "--json", *DEBUG]
    piped = CliRunner().invoke(app, command, tokens)
    assert piped.stdout_bytes == (tmp_path / "a.flac").read_bytes()
    for wrong in (["-", str(song), "-o", str(tmp_path)], [str(tmp_path), "-o", "-"]):
        refused = run("encode", *wrong, *DEBUG)
        assert refused.exit_code == 2
        assert "stands for one file" in refused.stderr
    broken = CliRunner().invoke(app, ["encode", "-", "-o", str(tmp_path), *DEBUG], b"no sound")
    assert broken.exit_code == 1
    assert "cannot read 'stdin'" in broken.stderr
