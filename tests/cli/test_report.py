"""`bandtok report`: one page from recordings and clips, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import Result

from bandtok.cli.report import labelled

Run = Callable[..., Result]
MakeSong = Callable[..., Path]


def test_a_page_of_everything(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song("in/song.wav")
    make_song("clips/001-calm.wav")
    (tmp_path / "p.txt").write_text("calm <piano>\n")
    out = tmp_path / "new" / "page.html"
    arguments = ["--output", out, "--reconstruct", song.parent]
    arguments += ["--model", "tiny=debug", "--device", "cpu", "--duration", 0.4]
    arguments += ["--generated", tmp_path / "clips", "--prompts", tmp_path / "p.txt"]
    done = run("report", *arguments, "--json")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    text = out.read_text(encoding="utf-8")
    assert told["clips"] == 3
    assert told["size_bytes"] == len(text.encode())
    assert told["coding"] == "flac"
    for part in ("song.wav", "<strong>tiny</strong>", "“calm &lt;piano&gt;”"):
        assert part in text
    refused = run("report", *arguments)
    assert refused.exit_code == 1
    assert "page.html" in refused.stderr
    assert run("report", *arguments, "--overwrite", "--audio", "opus").exit_code == 0
    assert "data:audio/ogg" in out.read_text(encoding="utf-8")


def test_too_large_a_page_is_told(
    run: Run, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bandtok.pages.page.PAGE_LIMIT_BYTES", 1_000)
    make_song("clips/a.wav")
    done = run("report", "--generated", tmp_path / "clips", "--output", tmp_path / "p.html")
    assert done.exit_code == 0
    assert "fewer or shorter clips" in done.stderr
    assert "opus" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "p.html"], "give --reconstruct"),
        (["--output", "p.html", "--ab", "x", "--compare", "debug"], "NAME=MODEL_FOLDER"),
        (
            ["--output", "p.html", "--compare", "a=debug", "--compare", "a=debug"],
            "label of its own",
        ),
        (["--output", "p.txt", "--generated", "x"], "must end in .html"),
        (["--output", "p.html", "--generated", "x", "--model", "debug"], "--model needs"),
        (["--output", "p.html", "--reconstruct", "x", "--prompts", "y"], "--prompts needs"),
        (["--output", "p.html", "--generated", "a=x", "--generated", "a=y"], "label of its own"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], message: str) -> None:
    done = run("report", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_listening_comparison(run: Run, make_song: MakeSong, tmp_path: Path) -> None:
    song, out = make_song("in/song.wav"), tmp_path / "ab.html"
    arguments = ["--ab", song.parent, "--compare", "old <1>=debug", "--model", "debug"]
    done = run(
        "report", *arguments, "--device", "cpu", "--duration", 0.4, "--output", out, "--json"
    )
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["clips"] == 4
    text = out.read_text(encoding="utf-8")
    names = re.findall(r'class="version"><strong>(.*?)</strong>', text)
    assert names == ["original", "Griffin-Lim", "old &lt;1&gt;", "reconstruction"]
    assert text.count("data:audio/flac;base64,") == 4
    assert text.count("<dt>flicker</dt>") == 4
    assert not re.search(r"https?:|//[a-z]+\.[a-z]", re.sub(r"base64,[\w+/=]+", "", text))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ab", "none"], "got none, which does not exist"),
        (["--ab", "."], "no audio in ."),
        (["--compare", "old=debug"], "examples/audio, which does not exist"),
        (["--ab", ".", "--compare", "original=debug"], "expected distinct labels"),
        (["--ab", ".", "--compare", "old=./none"], "none"),
    ],
)
def test_unusable_comparisons_end_in_one_line(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("report", *arguments, "--model", "debug", "--device", "cpu", "--output", "p.html")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not Path("p.html").exists()


def test_labels(tmp_path: Path) -> None:
    (tmp_path / "a=b").mkdir()
    odd = str(tmp_path / "a=b")
    assert labelled(["x=runs/a"], "alone") == {"x": "runs/a"}
    assert labelled(["runs/a"], "alone") == {"alone": "runs/a"}
    assert labelled([odd, "runs/b", "c=d=e"], "alone") == {"a=b": odd, "b": "runs/b", "c": "d=e"}
    for values in (["=x"], ["x="], ["a", "b/a"]):
        with pytest.raises(typer.BadParameter):
            labelled(values, "alone")
