from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bandtok.data.manifest import (
    Track,
    load_manifest,
    save_manifest,
    scan_folder,
    split_of,
    style_words,
    title_from_name,
)
from bandtok.errors import DataError, DataWarning

WriteTone = Callable[..., Path]


def a_track(path: str = "a.ogg", **values: object) -> Track:
    facts = {"seconds": 1.5, "sample_rate": 44_100, "channels": 2, "bandwidth_hz": 20_000.0}
    return Track(path=path, **{**facts, **values})  # type: ignore[arg-type]


def test_manifest_round_trip_keeps_every_field(tmp_path: Path) -> None:
    tracks = [
        a_track("a/ü.ogg", title="Ü", author="B; C", license="GPL-2+", package="p"),
        a_track("b.flac", style=["rock", "fast"], split="unseen", stems=["c.flac"]),
    ]
    save_manifest(tracks, tmp_path / "manifest.jsonl")
    assert load_manifest(tmp_path) == tracks
    assert load_manifest(tmp_path / "manifest.jsonl", splits=("unseen",)) == tracks[1:]
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.jsonl"]


def test_unknown_fields_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    save_manifest([a_track()], tmp_path / "manifest.jsonl")
    line = json.loads((tmp_path / "manifest.jsonl").read_text())
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line | {"tempo": 80}) + "\n\n")
    assert load_manifest(tmp_path) == [a_track()]


@pytest.mark.parametrize(
    "line", ["{", "[]", "3", '{"path": "a.ogg"}', '{"path": "../a.ogg", "seconds": 1}']
)
def test_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    save_manifest([a_track()], tmp_path / "manifest.jsonl")
    with (tmp_path / "manifest.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match="line 2"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("path", ["/a.ogg", "../a.ogg", "a/../../b.ogg", ""])
def test_tracks_stay_below_their_folder(path: str) -> None:
    with pytest.raises(DataError, match="below the manifest's folder"):
        a_track(path)
    with pytest.raises(DataError, match="below the manifest's folder"):
        a_track(stems=[path])


def test_unknown_split_is_refused() -> None:
    with pytest.raises(DataError, match="'dev'"):
        a_track(split="dev")


def test_splits_never_change() -> None:
    # A contract: models were trained on these sides.
    names = ["ufoai-music/dbsea", "wesnoth-1.16-music/battle", "colobot-common-sounds/Humanitarian"]
    assert [split_of(name) for name in names] == ["train", "train", "test"]


def test_split_shares() -> None:
    splits = [split_of(f"track {k}") for k in range(5000)]
    assert splits.count("train") / 5000 == pytest.approx(0.90, abs=0.02)
    assert splits.count("valid") / 5000 == pytest.approx(0.04, abs=0.01)
    assert splits.count("test") / 5000 == pytest.approx(0.06, abs=0.01)


def test_scan_reads_facts_and_skips_what_is_broken(tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "deep" / "02_dark-forestTheme.wav", seconds=0.5)
    write_tone(tmp_path / "b.flac", rate=48_000)
    (tmp_path / "broken.ogg").write_bytes(b"no audio at all")
    (tmp_path / "notes.txt").write_text("not audio")
    skipped: dict[str, str] = {}
    done: list[tuple[int, int]] = []
    tracks = scan_folder(
        tmp_path, on_progress=lambda *step: done.append(step), on_skip=skipped.__setitem__
    )
    assert [track.path for track in tracks] == ["b.flac", "deep/02_dark-forestTheme.wav"]
    assert tracks[0].sample_rate == 48_000
    assert tracks[1].seconds == 0.5
    assert tracks[1].title == "dark forest Theme"
    assert tracks[1].style == ["dark", "forest", "theme"]
    assert list(skipped) == ["broken.ogg"]
    assert "\n" not in skipped["broken.ogg"]
    assert done == [(0, 3), (1, 3), (2, 3)]
    with pytest.warns(DataWarning, match=r"left out broken\.ogg"):
        assert load_manifest(tmp_path) == tracks
    save_manifest(tracks, tmp_path / "manifest.jsonl", skipped)
    assert load_manifest(tmp_path) == tracks


def test_a_manifest_that_is_not_up_to_date_says_so(tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "a.wav", seconds=0.5)
    save_manifest(scan_folder(tmp_path), tmp_path / "manifest.jsonl")
    assert len(load_manifest(tmp_path)) == 1
    write_tone(tmp_path / "a.wav", seconds=0.7)
    write_tone(tmp_path / "b.wav", seconds=0.5)
    with pytest.warns(DataWarning, match=r"1 file not in it \(b.wav\), 1 file changed \(a.wav\)"):
        assert len(load_manifest(tmp_path)) == 1


def test_linked_folders_are_scanned_and_what_cannot_be_opened_is_named(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "store" / "album" / "1.wav", seconds=0.5)
    library = tmp_path / "library"
    library.mkdir()
    (library / "album").symlink_to(tmp_path / "store" / "album")
    (library / "album" / "round").symlink_to(library)
    (library / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (library / "new.m4a").write_bytes(b"other")
    skipped: dict[str, str] = {}
    tracks = scan_folder(library, on_skip=skipped.__setitem__)
    assert [track.path for track in tracks] == ["album/1.wav"]
    assert list(skipped) == ["gone.wav", "new.m4a"]
    assert "ffmpeg" in skipped["new.m4a"]


def test_two_tracks_are_enough_to_train_and_validate(tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "only.wav", seconds=0.1)
    assert [track.split for track in scan_folder(tmp_path)] == ["train"]
    write_tone(tmp_path / "other.wav", seconds=0.1)
    assert sorted(track.split for track in scan_folder(tmp_path)) == ["train", "valid"]


def test_folder_without_audio_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no readable audio"):
        load_manifest(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        load_manifest(tmp_path / "nowhere")


def test_empty_manifest_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text("")
    with pytest.raises(DataError, match="names no track"):
        load_manifest(tmp_path)


@pytest.mark.parametrize(
    ("stem", "title"),
    [("03_the-deep_path", "the deep path"), ("12", "12"), ("HellFortress", "Hell Fortress")],
)
def test_title_from_name(stem: str, title: str) -> None:
    assert title_from_name(stem) == title


def test_style_words_keep_first_order_without_repeats() -> None:
    assert style_words("Dark Ambient", "the_dark-caveTheme x") == [
        "dark",
        "ambient",
        "cave",
        "theme",
    ]
