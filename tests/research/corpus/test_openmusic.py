from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.data.manifest import load_manifest
from bandtok.errors import AudioError, DataError
from research.corpus import openmusic
from research.corpus.open_packages import PACKAGES, MusicPackage
from research.corpus.openmusic import build_corpus, sum_stems

WriteTone = Callable[..., Path]

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb not installed")

GAME = MusicPackage(
    name="game-music",
    music="game/music",
    license="GPL-2+",
    author="The Team",
    style=("upbeat",),
    drop=frozenset({"unfit"}),
    splits={"kept": "test"},
    keep_seconds={"loop": 1.5},
)
BAND = MusicPackage(
    name="band-songs",
    music="songs",
    license="Expat",
    author="The Band",
    style=("rock",),
    unseen=True,
    stems=True,
)


@pytest.fixture
def build_deb(tmp_path: Path) -> Callable[[str, Path], Path]:
    def build(name: str, tree: Path) -> Path:
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {name}\nVersion: 1.0-1\nArchitecture: all\n"
            "Maintainer: Nobody <nobody@example.org>\nDescription: music\n"
        )
        folder = tmp_path / "debs"
        folder.mkdir(exist_ok=True)
        target = folder / f"{name}_1.0-1_all.deb"
        subprocess.run(
            ["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, target],
            check=True,
            capture_output=True,
        )
        return target

    return build


@pytest.fixture
def debs(
    tmp_path: Path,
    write_tone: WriteTone,
    build_deb: Callable[[str, Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """Two packages: one with a .pk3, a copy, a link and sounds; one with stems."""
    monkeypatch.setattr(openmusic, "MIN_SECONDS", 1.0)
    music = tmp_path / "game" / "usr/share/game/music"
    write_tone(music / "kept.wav", seconds=1.2, hertz=300)
    write_tone(music / "unfit.wav", seconds=1.2, hertz=310)
    write_tone(music / "sound.wav", seconds=0.2)
    write_tone(music / "old.wav", seconds=1.2, rate=22_050)
    write_tone(music / "loop.wav", seconds=3.0, hertz=320)
    (music / "broken.ogg").write_bytes(b"OggS but no more")
    (music / "picture.png").write_bytes(b"png")
    shutil.copy(music / "kept.wav", music / "the-same.wav")
    (music / "link.wav").symlink_to("kept.wav")
    packed = write_tone(tmp_path / "packed.wav", seconds=1.2, hertz=500)
    with zipfile.ZipFile(music / "more.pk3", "w") as archive:
        archive.write(packed, "music/packed.wav")
    write_tone(tmp_path / "game" / "usr/share/game/sounds/elsewhere.wav", seconds=1.2)
    build_deb("game-music", tmp_path / "game")
    song = tmp_path / "band" / "usr/share/songs/anthem"
    write_tone(song / "song.wav", seconds=1.2, hertz=200, peak=0.8)
    write_tone(song / "guitar.wav", seconds=1.1, hertz=600, peak=0.8)
    (song / "song.ini").write_text("[song]\nname = The Anthem\n")
    return build_deb("band-songs", tmp_path / "band").parent


@needs_dpkg
def test_corpus_from_packages(tmp_path: Path, debs: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    corpus = build_corpus(
        tmp_path / "out",
        packages_from=debs,
        packages=(GAME, BAND),
        on_progress=lambda *step: steps.append(step),
    )
    names = {Path(track.path).name: track for track in corpus.tracks}
    assert set(names) == {"kept.wav", "loop_2s.flac", "packed.wav", "anthem.flac"}
    assert names["kept.wav"].split == "test"
    assert names["kept.wav"].license == "GPL-2+"
    assert names["loop_2s.flac"].seconds == 1.5
    assert names["anthem.flac"].split == "unseen"
    assert names["anthem.flac"].title == "The Anthem"
    assert len(corpus.left_out) == 4
    reasons = "\n".join(corpus.left_out)
    for part in ("broken.ogg: ", "unfit.wav: named", "old.wav: sampled", "the-same.wav: same as"):
        assert part in reasons
    assert corpus.versions == {"game-music": "1.0-1", "band-songs": "1.0-1"}
    assert load_manifest(tmp_path / "out") == corpus.tracks
    assert all((tmp_path / "out" / track.path).exists() for track in corpus.tracks)
    assert (
        "| The Anthem | anthem.flac | The Band | Expat | unseen |"
        in (tmp_path / "out" / "attribution.md").read_text()
    )
    assert {step for step, _, _ in steps} == {"unpacking", "describing"}


@needs_dpkg
def test_second_run_does_nothing_again(
    tmp_path: Path, debs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_corpus(tmp_path / "out", packages_from=debs, packages=(GAME, BAND))
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    monkeypatch.setattr(openmusic, "unpack_deb", pytest.fail)
    monkeypatch.setattr(openmusic, "sum_stems", pytest.fail)
    monkeypatch.setattr("research.corpus.measured.measure_bandwidth", pytest.fail)
    with (tmp_path / "out" / "measured.jsonl").open("a") as log:
        log.write('{"path": "torn')  # what a stopped run leaves
    assert build_corpus(tmp_path / "out", packages_from=debs, packages=(GAME, BAND)) == first
    written = {"manifest.jsonl", "attribution.md", "measured.jsonl"}
    for path, time in files.items():
        assert path.name in written or path.stat().st_mtime_ns == time
    assert set((tmp_path / "out").rglob("*.*")) == set(files)


@needs_dpkg
def test_broken_package_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    debs = tmp_path / "debs"
    debs.mkdir()
    (debs / "game-music_1_all.deb").write_bytes(b"!<arch>\nno package")
    with pytest.raises(DataError, match=r"game-music_1_all\.deb failed: "):
        build_corpus(tmp_path / "out", packages_from=debs, packages=(GAME,))
    assert not any((tmp_path / "out" / "unpacked").iterdir())


def test_packages_from_must_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        build_corpus(tmp_path / "out", packages_from=tmp_path / "nowhere", packages=(GAME,))


def test_stems_are_summed_and_scaled_to_fit(tmp_path: Path, write_tone: WriteTone) -> None:
    stems = [
        write_tone(tmp_path / "song.wav", hertz=200, peak=0.8),
        write_tone(tmp_path / "guitar.wav", seconds=0.5, hertz=600, peak=0.8),
    ]
    sum_stems(stems, tmp_path / "mix.flac")
    mix, _ = soundfile.read(tmp_path / "mix.flac")
    first, _ = soundfile.read(stems[0])
    second, _ = soundfile.read(stems[1])
    expected = first + np.pad(second, (0, len(first) - len(second)))
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(mix, expected * 0.98 / np.abs(expected).max(), atol=1e-4)


def test_quiet_stems_are_not_made_louder(tmp_path: Path, write_tone: WriteTone) -> None:
    stem = write_tone(tmp_path / "song.wav", peak=0.2)
    sum_stems([stem], tmp_path / "mix.flac", keep_seconds=0.25)
    mix, _ = soundfile.read(tmp_path / "mix.flac")
    np.testing.assert_allclose(mix, soundfile.read(stem)[0][:11_025], atol=1e-4)


def test_stems_of_different_rates_are_refused(tmp_path: Path, write_tone: WriteTone) -> None:
    stems = [write_tone(tmp_path / "a.wav"), write_tone(tmp_path / "b.wav", rate=48_000)]
    with pytest.raises(AudioError, match="expected all alike"):
        sum_stems(stems, tmp_path / "mix.flac")
    assert not (tmp_path / "mix.flac").exists()


def test_package_table() -> None:
    names = [package.name for package in PACKAGES]
    assert len(set(names)) == len(names) == 17
    assert {package.name for package in PACKAGES if package.unseen} == {
        "fretsonfire-songs-muldjord",
        "fretsonfire-songs-sectoid",
    }
    trackballs = next(package for package in PACKAGES if package.name == "trackballs-data")
    assert trackballs.drop == {"c64revival", "crazy", "eurovision"}
