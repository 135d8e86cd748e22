"""`bandtok generate` with the tiny random model, and how its outputs are named."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

import bandtok
from bandtok.cli.generate import plan_clips, read_prompts
from bandtok.errors import DataError
from bandtok.lm.generate import candidate_seeds
from bandtok.lm.text_embeddings import HashTextEncoder
from bandtok.signal.audio import load_audio, probe_audio

Run = Callable[..., Result]
MakeSong = Callable[..., Path]
DEBUG = ("--model", "debug", "--device", "cpu", "--duration", "0.5")


def test_names_of_clips(tmp_path: Path) -> None:
    (one,) = plan_clips("calm", None, tmp_path / "a.wav", seed=3, num_samples=1, suffix=".wav")
    assert (one.prompt, one.seed, one.target) == ("calm", 3, tmp_path / "a.wav")
    clips = plan_clips("calm", None, tmp_path / "a.wav", seed=3, num_samples=2, suffix=".wav")
    assert [(clip.seed, clip.target.name) for clip in clips] == [(3, "a-1.wav"), (4, "a-2.wav")]
    (named,) = plan_clips(
        "A calm, Slow Piano!", None, tmp_path, seed=0, num_samples=1, suffix=".ogg"
    )
    assert named.target == tmp_path / "a-calm-slow-piano.ogg"


def test_names_of_prompts_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    file.write_text("calm piano\n\n  fast drums \n…\n", encoding="utf-8")
    clips = plan_clips(None, file, tmp_path / "out", seed=0, num_samples=1, suffix=".wav")
    assert [(clip.prompt, clip.target.name) for clip in clips] == [
        ("calm piano", "001-calm-piano.wav"),
        ("fast drums", "002-fast-drums.wav"),
        ("…", "003-clip.wav"),
    ]


def test_prompts_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.TextIOWrapper(io.BytesIO(b"solo harp\n\nfast drums\n"))
    monkeypatch.setattr("sys.stdin", content)
    assert read_prompts(Path("-")) == ["solo harp", "fast drums"]


def test_files_without_prompts_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    for content, message in [
        (b"\n \n", "holds no prompt"),
        (b"\xff\xfe\x00\xd8", "not UTF-8"),
        (b"a" * ((1 << 20) + 1), "larger than"),
    ]:
        file.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_prompts(file)


def test_the_same_seed_gives_the_same_tokens(run: Run, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        result = run("generate", "calm", "-o", tmp_path / name, "--save-tokens", *DEBUG)
        assert result.exit_code == 0, result.stderr
    first, second = (bandtok.TokenGrid.load(tmp_path / f"{name}.btk") for name in "ab")
    np.testing.assert_array_equal(first.codes, second.codes)
    assert probe_audio(tmp_path / "a.wav").seconds == pytest.approx(0.5, abs=0.1)


def test_several_clips_as_json(run: Run, tmp_path: Path) -> None:
    prompts = tmp_path / "p.txt"
    prompts.write_text("one\ntwo\n")
    settings = ["--num-samples", 2, "--temperature", 0.8, "--top-k", 5, "--top-p", 0.9]
    arguments = ["--prompts", prompts, "-o", tmp_path / "out", *settings, "--guidance-scale", 2]
    result = run("generate", *arguments, *DEBUG, "--json")
    assert result.exit_code == 0, result.stderr
    clips = json.loads(result.stdout)["clips"]
    assert [(clip["prompt"], clip["seed"]) for clip in clips] == [
        ("one", 0),
        ("one", 1),
        ("two", 0),
        ("two", 1),
    ]
    assert all(Path(clip["target"]).is_file() for clip in clips)
    assert run("generate", *arguments, *DEBUG).exit_code == 0


@pytest.mark.parametrize("kind", ["audio", "tokens"])
def test_continue_from(run: Run, make_song: MakeSong, tmp_path: Path, kind: str) -> None:
    song, tokens = make_song(samples=16_384), tmp_path / "t.btk"
    assert run("encode", song, "-o", tokens, "--model", "debug").exit_code == 0
    start = song if kind == "audio" else tokens
    arguments = ["calm", "-o", tmp_path / "a.wav", "--continue-from", start, "--save-tokens"]
    result = run("generate", *arguments, *DEBUG)
    assert result.exit_code == 0, result.stderr
    before = bandtok.TokenGrid.load(tokens).codes
    after = bandtok.TokenGrid.load(tmp_path / "a.btk").codes
    np.testing.assert_array_equal(after[:, : before.shape[1]], before)


def test_bars_end_on_the_bar_and_loops_have_their_tempo(run: Run, tmp_path: Path) -> None:
    model = ("--model", "debug", "--device", "cpu")
    bars = ("--bars", 1, "--meter", "3/4", "--no-normalize", "--save-tokens", *model)
    for name, more in (("bars", ()), ("loop", ("--loop",))):
        target = tmp_path / f"{name}.wav"
        result = run("generate", "calm", "-o", target, *bars, *more)
        assert result.exit_code == 0, result.stderr
        audio = load_audio(target)
        grid = bandtok.TokenGrid.load(target.with_suffix(".btk"))
        made = grid.extra["provenance"]["settings"]
        assert (made["bars"], made["meter"], made["loop"]) == (1, "3/4", name == "loop")
        seconds = 3 * 60 / made["bpm"]
        assert audio.waveform.shape[1] == round(seconds * audio.sample_rate)
        assert made["bpm"] == pytest.approx(120, rel=0.03)
    assert grid.num_samples == audio.waveform.shape[1], "frames are whole where no tempo is asked"


def test_a_fade_ends_in_silence_and_leaves_the_tokens(run: Run, tmp_path: Path) -> None:
    for name, more in (("plain", ()), ("faded", ("--fade-out", 0.1))):
        arguments = ("calm", "-o", tmp_path / f"{name}.wav", "--duration", 0.4, "--save-tokens")
        assert run("generate", *arguments, *more, *DEBUG).exit_code == 0
    plain, faded = (load_audio(tmp_path / f"{name}.wav").waveform for name in ("plain", "faded"))
    kept = plain.shape[1] - 4410
    np.testing.assert_array_equal(plain[:, :kept], faded[:, :kept])
    assert np.abs(faded[:, -10:]).max() < 0.01 * np.abs(plain[:, kept:]).max()
    codes = [bandtok.TokenGrid.load(tmp_path / f"{n}.btk").codes for n in ("plain", "faded")]
    np.testing.assert_array_equal(*codes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bars", 2, "--duration", 5), "either --duration or --bars"),
        (("--meter", "3/4"), "--meter goes with"),
        (("--loop", "--continue-from", "a.btk"), "--loop makes new music"),
        (("--loop", "--stream"), "not with --loop"),
        (("--fade-out", 1, "--stream"), "not with --loop or --fade-out"),
    ],
)
def test_lengths_and_endings_that_exclude_each_other(
    run: Run, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    result = run("generate", "calm", "-o", tmp_path / "a.wav", *options, *DEBUG)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not list(tmp_path.iterdir())


def test_a_stream_is_the_whole_clip(run: Run, tmp_path: Path) -> None:
    for name, more in (("whole", ()), ("streamed", ("--stream",))):
        target = tmp_path / f"{name}.wav"
        options = ("--save-tokens", "--no-normalize", *DEBUG, *more)
        result = run("generate", "calm", "-o", target, *options)
        assert result.exit_code == 0, result.stderr
    whole, streamed = (load_audio(tmp_path / f"{name}.wav") for name in ("whole", "streamed"))
    np.testing.assert_allclose(streamed.waveform, whole.waveform, atol=2 / 32768)
    first, second = (bandtok.TokenGrid.load(tmp_path / f"{n}.btk") for n in ("whole", "streamed"))
    np.testing.assert_array_equal(first.codes, second.codes)


@pytest.mark.parametrize("more", [(), ("--stream",)])
def test_clips_have_a_loudness(run: Run, tmp_path: Path, more: tuple[str, ...]) -> None:
    found = {}
    levels = {"default": (), "given": ("--loudness", -30), "none": ("--no-normalize",)}
    for name, options in levels.items():
        arguments = ("generate", "calm", "-o", tmp_path / f"{name}.wav", "--json", *more)
        result = run(*arguments, *options, *DEBUG)
        assert result.exit_code == 0, result.stderr
        (found[name],) = json.loads(result.stdout)["clips"]
    assert found["default"]["loudness_lufs"] == pytest.approx(-16, abs=2)
    assert found["given"]["loudness_lufs"] == pytest.approx(-30, abs=1)
    assert all(found[name]["true_peak_dbfs"] <= -0.99 for name in ("default", "given"))
    assert found["default"]["limited_samples"] == 0
    assert found["none"]["loudness_lufs"] != pytest.approx(-16, abs=0.2)


@pytest.mark.parametrize(
    "options",
    [
        ("--loudness", "-20", "--no-normalize"),
        ("--stream", "--sample-format", "float"),
        ("-o", "a.flac", "--sample-format", "float"),
    ],
)
def test_levels_that_exclude_each_other(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    result = run("generate", "calm", "-o", tmp_path / "a.wav", *options, *DEBUG)
    assert result.exit_code == 2
    assert run("generate", "calm", "-o", tmp_path / "a.wav", "--loudness", 3, *DEBUG).exit_code == 1
    assert not list(tmp_path.iterdir())


def test_a_failed_stream_is_one_line(run: Run, tmp_path: Path) -> None:
    arguments = ("generate", "calm", "-o", tmp_path / "a.wav", "--stream", "--temperature", "inf")
    result = run(*arguments, *DEBUG)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_the_fixed_prompts_are_known_by_name(tmp_path: Path) -> None:
    jobs = plan_clips(None, Path("bundled"), tmp_path / "out", seed=0, num_samples=1, suffix=".wav")
    assert len(jobs) >= 120
    assert jobs[6].target.name.startswith("007-")


def test_a_batch_is_its_clips_one_by_one(run: Run, tmp_path: Path) -> None:
    prompts = tmp_path / "p.txt"
    prompts.write_text("calm piano\nfast drums\nthird\n")
    for name, batch in (("one", 1), ("many", 2)):
        arguments = ("--prompts", prompts, "-o", tmp_path / name, "--batch-size", batch)
        result = run("generate", *arguments, "--save-tokens", *DEBUG)
        assert result.exit_code == 0, result.stderr
    files = sorted(path.name for path in (tmp_path / "one").glob("*.btk"))
    assert len(files) == 3
    for file in files:
        one, many = (bandtok.TokenGrid.load(tmp_path / name / file) for name in ("one", "many"))
        np.testing.assert_array_equal(one.codes, many.codes)


def test_candidates_give_a_clip_of_one_of_their_seeds(run: Run, tmp_path: Path) -> None:
    names = {"chosen": (0, 3), **{str(seed): (seed, 1) for seed in candidate_seeds(0, 3)}}
    for name, (seed, candidates) in names.items():
        arguments = ("generate", "calm", "-o", tmp_path / f"{name}.wav", "--save-tokens")
        result = run(*arguments, "--seed", seed, "--num-candidates", candidates, *DEBUG)
        assert result.exit_code == 0, result.stderr
    chosen, *alone = (bandtok.TokenGrid.load(tmp_path / f"{name}.btk").codes for name in names)
    assert any(np.array_equal(chosen, one) for one in alone)
    assert run("generate", "calm", "-o", tmp_path / "x.wav", "--num-candidates", 0).exit_code == 2


@pytest.mark.parametrize(
    ("bpm", "said"), [("500", "expected 40 to 240"), ("120", "learned no beat")]
)
def test_tempos_that_cannot_be_played_are_refused_at_once(
    run: Run, tmp_path: Path, bpm: str, said: str
) -> None:
    result = run("generate", "calm", "-o", tmp_path / "a.wav", "--bpm", bpm, *DEBUG)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not (tmp_path / "a.wav").exists()


def test_a_model_without_beat_conditioning_has_no_beat(run: Run, tmp_path: Path) -> None:
    for name, options in {"a": (), "b": ("--bpm", 0)}.items():
        result = run(
            "generate", "calm", "-o", tmp_path / f"{name}.wav", "--save-tokens", *options, *DEBUG
        )
        assert result.exit_code == 0, result.stderr
    one, other = (bandtok.TokenGrid.load(tmp_path / f"{name}.btk").codes for name in "ab")
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "prompt", ["", "   ", "🎹🥁 \N{SNOWMAN}", "xqzzt brrfl", "calm\n\tpiano", "\udc80", "\x00"]
)
def test_prompts_of_every_kind_become_music(run: Run, tmp_path: Path, prompt: str) -> None:
    result = run("generate", prompt, "-o", tmp_path / "a.wav", *DEBUG)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert probe_audio(tmp_path / "a.wav").seconds == pytest.approx(0.5, abs=1e-3)


def test_an_empty_prompt_is_unconditional(run: Run, tmp_path: Path) -> None:
    for name, prompt in (("a", ""), ("b", "  ")):
        arguments = ("generate", prompt, "-o", tmp_path / f"{name}.wav", "--save-tokens")
        assert run(*arguments, *DEBUG, "--guidance-scale", 1 if name == "a" else 9).exit_code == 0
    first, second = (bandtok.TokenGrid.load(tmp_path / f"{name}.btk") for name in "ab")
    np.testing.assert_array_equal(first.codes, second.codes)


@pytest.mark.filterwarnings("default")
def test_a_prompt_that_is_too_long_is_used_in_part_and_said_so(run: Run, tmp_path: Path) -> None:
    prompt = ("piano " * 2000)[:10_000]
    result = run("generate", prompt, "-o", tmp_path / "a.wav", *DEBUG)
    assert result.exit_code == 0
    assert len(result.stderr.splitlines()) == 1
    assert "only the beginning of the prompt" in result.stderr


@pytest.mark.parametrize(
    ("duration", "code"), [("0", 2), ("-3", 2), ("nan", 2), ("inf", 1), ("31536000", 1), ("x", 2)]
)
def test_durations_out_of_range_are_one_line(
    run: Run, tmp_path: Path, duration: str, code: int
) -> None:
    target = tmp_path / "a.wav"
    result = run("generate", "calm", "-o", target, "--model", "debug", "--duration", duration)
    assert result.exit_code == code
    assert len(result.stderr.splitlines()) == 1
    assert not target.exists()


@pytest.mark.parametrize("more", [(), ("--stream",)])
def test_clips_are_marked_and_keep_the_prompt_if_asked(
    run: Run, tmp_path: Path, more: tuple[str, ...]
) -> None:
    for name, option in (("a.wav", ()), ("b.wav", ("--store-prompt",))):
        result = run("generate", "calm", "-o", tmp_path / name, *DEBUG, *option, *more)
        assert result.exit_code == 0, result.stderr
    first, second = (load_audio(tmp_path / name).provenance or {} for name in ("a.wav", "b.wav"))
    assert first.keys() - second.keys() == {"prompt_sha256"}
    assert second["prompt"] == "calm"
    assert second["operation"] == "generate"


def test_seeds_beyond_63_bits_are_wrong_usage(run: Run, tmp_path: Path) -> None:
    result = run("generate", "calm", "-o", tmp_path / "a.wav", "--seed", 2**64 - 1, *DEBUG)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1


def test_stopped_prompts_go_on_and_what_is_there_stays(run: Run, tmp_path: Path) -> None:
    prompts, out = tmp_path / "p.txt", tmp_path / "out"
    prompts.write_text("calm piano\nfast drums\nthird\n")
    arguments = ("generate", "--prompts", prompts, "-o", out, "--save-tokens", *DEBUG)
    assert run(*arguments).exit_code == 0
    files = {path: path.read_bytes() for path in out.iterdir()}
    (out / "002-fast-drums.btk").unlink()  # stopped between the two files of a clip
    (out / "003-third.wav").unlink()
    kept = (out / "001-calm-piano.wav").stat()
    again = run(*arguments)
    assert again.exit_code == 0
    assert "2 done, 1 skipped" in again.stdout
    assert {path: path.read_bytes() for path in out.iterdir()} == files
    assert (out / "001-calm-piano.wav").stat().st_mtime_ns == kept.st_mtime_ns
    assert json.loads(run(*arguments, "--json").stdout) == {"clips": [], "skipped": 3}
    assert run(*arguments, "--overwrite").stdout.count("made in") == 3


@pytest.mark.parametrize("wrong", [("--duration", 4000), ("--temperature", "inf")])
def test_a_failed_stream_leaves_what_was_there(
    run: Run, tmp_path: Path, wrong: tuple[object, ...]
) -> None:
    target = tmp_path / "a.wav"
    target.write_bytes(b"as it was")
    options = ("--stream", "--overwrite", *DEBUG, *wrong)
    assert run("generate", "calm", "-o", target, *options).exit_code == 1
    assert target.read_bytes() == b"as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_stream_that_breaks_off_leaves_what_was_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(blocks: Iterable[np.ndarray], _: object) -> Iterator[np.ndarray]:
        yield next(iter(blocks))
        raise DataError("broken off")

    target = tmp_path / "a.wav"
    target.write_bytes(b"as it was")
    monkeypatch.setattr("bandtok.cli.clip_maker.limit_blocks", breaks_off)
    options = ("--stream", "--overwrite", *DEBUG)
    assert run("generate", "calm", "-o", target, *options).exit_code == 1
    assert target.read_bytes() == b"as it was"
    monkeypatch.undo()
    assert run("generate", "calm", "-o", target, *options).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    assert probe_audio(target).seconds == pytest.approx(0.5, abs=1e-3)


@pytest.mark.filterwarnings("default")
def test_a_prompt_that_is_not_understood_is_said_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HashTextEncoder, "understands", lambda _, text: text.isascii())
    (tmp_path / "prompts.txt").write_text("静かなピアノ\nquiet piano\n", encoding="utf-8")
    arguments = ("generate", "--prompts", tmp_path / "prompts.txt", *DEBUG)
    result = run(*arguments, "-o", tmp_path / "a")
    assert result.exit_code == 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("bandtok: the prompt '静かなピアノ' seems not to be English")
    assert run(*arguments, "-o", tmp_path / "b", "--quiet").stderr == ""
