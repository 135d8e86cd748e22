from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bandtok.errors import DataError
from research.corpus.debian import (
    copyright_of,
    download_package,
    find_package,
    package_version,
    read_copyright,
    unpack_deb,
    unpack_zip,
)

OGG = frozenset({".ogg"})

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: A game

Files: *
Copyright: 2002-2014, The Team
License: GPL-2+

Files:
 base/music/one.ogg
 base/music/two.ogg
Copyright:
 2001, Ann "A" Author (www.example.org)
 Bo <bo@example.org>
 Bo bo@example.org
License: public-domain

Files: debian/*
Copyright: 2013, A Packager
License: GPL-2+

License: public-domain
 These files were granted to the public domain.
"""


def test_copyright_names_single_files_only() -> None:
    entries = read_copyright(COPYRIGHT)
    assert len(entries) == 3
    found = copyright_of("usr/share/games/x/0music.pk3.unpacked/music/two.ogg", entries)
    assert found is not None
    assert found.license == "public-domain"
    assert found.holders == ('Ann "A" Author', "Bo")
    assert copyright_of("usr/share/games/x/music/three.ogg", entries) is None


def test_prose_copyright_says_nothing() -> None:
    assert read_copyright("This package was debianized by somebody.\n\nFiles: *\n") == []


def test_package_names(tmp_path: Path) -> None:
    for name in ("a-music_1%3a1.16-1_all.deb", "a-music-extra_2_all.deb"):
        (tmp_path / name).touch()
    found = find_package("a-music", [tmp_path / "nowhere", tmp_path])
    assert found is not None
    assert package_version(found) == "1:1.16-1"
    assert find_package("a", [tmp_path]) is None


def make_zip(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return path


def test_zip_gives_wanted_files_only(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.pk3", ["music/a.ogg", "maps/a.bsp", "b.OGG"])
    unpack_zip(archive, tmp_path / "out", OGG)
    files = {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")
    }
    assert files == {"music", "music/a.ogg", "b.OGG"}


@pytest.mark.parametrize("name", ["../evil.ogg", "a/../../evil.ogg", "/evil.ogg", "C:\\evil.ogg"])
def test_zip_that_would_leave_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = make_zip(inside / "a.pk3", ["good.ogg", name])
    with pytest.raises(DataError, match="would leave its folder"):
        unpack_zip(archive, inside / "out", OGG)
    assert [path.name for path in tmp_path.rglob("*")] == ["inside", "a.pk3"]


def test_broken_zip_leaves_nothing(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.pk3", ["a.ogg"])
    archive.write_bytes(archive.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"a\.pk3"):
        unpack_zip(archive, tmp_path / "out", OGG)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pk3"]


def test_missing_programs_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match=r"apt-get is not installed.*--packages-from"):
        download_package("a", tmp_path)
    with pytest.raises(DataError, match="dpkg is not installed"):
        unpack_deb(tmp_path / "a.deb", tmp_path / "out")
