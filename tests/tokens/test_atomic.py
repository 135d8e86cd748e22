"""Files written whole or not at all, and what becomes of those begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bandtok.tokens.atomic import replacing, write_bytes, write_text

_WRITER = """
import os, signal, sys
from bandtok.tokens.atomic import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def test_new_content_replaces_old(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")
    write_text(target, "nëw")
    assert target.read_bytes() == "nëw".encode()
    write_bytes(target, b"")
    assert target.read_bytes() == b""
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_the_old_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail() -> None:
        with replacing(target) as temporary:
            temporary.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("locks", [True, False])
def test_a_block_that_writes_nothing_is_an_error(
    tmp_path: Path, locks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not locks:
        monkeypatch.setattr("bandtok.tokens.atomic.fcntl", None)
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        pass
    assert list(tmp_path.iterdir()) == []
    write_text(tmp_path / "a.txt", "as usual")


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_what_a_killed_writer_left_is_written_over(tmp_path: Path) -> None:
    target = tmp_path / "song.btk"
    write_bytes(target, b"old")
    for _ in range(2):
        ended = subprocess.run([sys.executable, "-c", _WRITER, str(target)], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert target.read_bytes() == b"old"
        assert [path.read_bytes() for path in _hidden(tmp_path)] == [b"half"]
    write_bytes(target, b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with replacing(target) as first:
        first.write_text("first")
        with replacing(target) as second:
            assert second != first
            second.write_text("second")
        assert target.read_text() == "second"
        assert first.read_text() == "first"
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_planted_under_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    target, other = tmp_path / "a.txt", tmp_path / "other"
    other.write_text("not yours")
    with replacing(target) as usual:
        usual.write_text("x")
    usual.symlink_to(other)
    write_text(target, "new")
    assert other.read_text() == "not yours"
    assert target.read_text() == "new"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="file name"):
        write_text(tmp_path, "x")
