"""The rendered corpus: whole, resumable, split by tunes; the synthesiser is stood in for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.data.manifest import load_manifest
from bandtok.data.segments import load_attributes
from bandtok.errors import DataError
from research.corpus.rendered import corpus as rendered
from research.corpus.rendered import synthesis
from research.corpus.rendered.corpus import build_rendered
from research.corpus.rendered.score import Score
from research.corpus.rendered.sources import Sources, TuneEntry

HOURS = 0.05


def _entries() -> tuple[TuneEntry, ...]:
    bars = {"4/4": "C2E2G2c2|", "3/4": "C2E2G2|", "6/8": "CEGcGE|"}
    return tuple(
        TuneEntry(
            text=f"X:1\nT:Tune {name}\nM:{meter}\nL:1/8\nK:C\n{bar * 8}\n",
            source=f"Book/{name}",
            title=f"Tune {name}",
            meter=meter,
        )
        for meter, bar in bars.items()
        for name in "abcdefgh"
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stand in for packages and fluidsynth; the list says how long each rendered score was."""
    rendered_seconds: list[float] = []

    def synthesize(score: Score, soundfont: Path, room: float) -> np.ndarray:
        rendered_seconds.append(score.seconds)
        noise = np.random.default_rng(len(score.notes)).normal(size=(2, 30_000))
        return (0.01 * noise).astype(np.float32)

    fonts = {name: Path("none.sf2") for name in ("fluid", "timgm")}
    sources = Sources(tunes=_entries(), soundfonts=fonts, packages={"music21": ("1", "free")})
    monkeypatch.setattr(synthesis, "synthesize", synthesize)
    monkeypatch.setattr(rendered, "require_fluidsynth", lambda: "fluidsynth")
    monkeypatch.setattr(rendered, "fetch_sources", lambda folder, packages_from: sources)
    return rendered_seconds


def test_a_corpus_is_built_once(tmp_path: Path, calls: list[float]) -> None:
    built = build_rendered(tmp_path, hours=HOURS, seed=3)
    assert not built.left_out
    assert len(calls) == len(built.tracks) > 3
    assert load_manifest(tmp_path) == built.tracks
    attributes = load_attributes(tmp_path)
    for track in built.tracks:
        audio, rate = soundfile.read(tmp_path / track.path)
        assert (audio.shape[1], rate) == (2, 44_100)
        (segment,) = attributes[track.path].segments
        assert segment.end_seconds == track.seconds
        level = 10 * np.log10((audio.mean(axis=1) ** 2).mean())
        assert segment.loudness_db == pytest.approx(level, abs=0.5)
        assert np.abs(audio).max() < 1.0
    manifest = (tmp_path / "manifest.jsonl").read_bytes()
    build_rendered(tmp_path, hours=HOURS, seed=3)
    assert len(calls) == len(built.tracks)
    assert (tmp_path / "manifest.jsonl").read_bytes() == manifest


def test_a_stopped_build_goes_on_and_a_longer_one_adds(tmp_path: Path, calls: list[float]) -> None:
    short = build_rendered(tmp_path, hours=HOURS / 2)
    first = len(calls)
    (tmp_path / short.tracks[0].path).unlink()
    with (tmp_path / "pieces.jsonl").open("a") as log:
        log.write('{"seed": 0, "num')
    longer = build_rendered(tmp_path, hours=HOURS)
    assert longer.tracks[: len(short.tracks)] == short.tracks
    assert len(calls) - first == len(longer.tracks) - len(short.tracks) + 1
    assert all(json.loads(line) for line in _whole_lines(tmp_path / "pieces.jsonl"))
    whole = build_rendered(tmp_path / "other", hours=HOURS, jobs=2)
    assert whole.tracks == longer.tracks


def test_a_corpus_can_be_of_some_styles_alone(tmp_path: Path, calls: list[float]) -> None:
    built = build_rendered(tmp_path, hours=HOURS, styles=("solo", "duet"))
    assert {Path(track.path).parent.name for track in built.tracks} == {"solo", "duet"}
    with pytest.raises(DataError, match=r"got style 'polka'; expected one of solo, .*techno"):
        build_rendered(tmp_path, hours=HOURS, styles=("polka",))


def _whole_lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line.endswith("}")]


def test_all_arrangements_of_a_tune_are_in_one_split(tmp_path: Path, calls: list[float]) -> None:
    build_rendered(tmp_path, hours=4 * HOURS, jobs=2)
    splits: dict[str, set[str]] = {}
    for line in (tmp_path / "pieces.jsonl").read_text().splitlines():
        piece = json.loads(line)
        if piece["track"]["split"] != "unseen":
            splits.setdefault(piece["tune"], set()).add(piece["track"]["split"])
    assert len(splits) > 5
    assert all(len(found) == 1 for found in splits.values())


def test_a_tune_has_one_split_under_each_of_its_names() -> None:
    def entry(title: str) -> TuneEntry:
        return TuneEntry(text="", source="x", title=title, meter="4/4")

    names = [f"{first} {second} tune" for first in "bcdefghi" for second in "jklmnopq"]
    assert len({entry(name).split for name in names}) > 1
    for name in names:
        assert entry(f"The {name.title()} -- Reel").split == entry(name).split


def test_silence_is_an_error(
    tmp_path: Path, calls: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = np.zeros((2, 5000), np.float32)
    monkeypatch.setattr(synthesis, "synthesize", lambda score, soundfont, room: silent)
    built = build_rendered(tmp_path, hours=0.01)
    assert not built.tracks
    assert built.left_out
    assert "silent" in built.left_out[0]


def test_a_missing_synthesiser_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(DataError, match="apt-get install fluidsynth"):
        build_rendered(tmp_path, hours=1)
    with pytest.raises(DataError, match="above 0"):
        build_rendered(tmp_path, hours=0)


def test_peaks_are_bent_not_cut() -> None:
    wave = np.linspace(-3, 3, 301, dtype=np.float32)[None]
    bent = synthesis.bent(wave)
    assert np.abs(bent).max() < 1.0
    assert (np.diff(bent[0]) >= 0).all()
    small = np.abs(wave) <= 0.7
    np.testing.assert_array_equal(bent[small], wave[small])
