"""Write a file so that its name shows either the old content or all of the new, never a part.

The content goes to a temporary file in the same folder, is synchronised to disk and then renamed.
Knows nothing of what is written.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix; rename it to `path` on success.

    The caller writes the yielded path. If the block raises, the temporary file is removed and
    `path` is as it was.

    Args:
        path: the file to create or replace; its folder must exist.

    Raises:
        OSError: if the folder cannot be written, or the caller did not create the file.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; expected a file name")
    temporary = target.with_name(f".{secrets.token_hex(8)}.part{target.suffix}")
    try:
        yield temporary
        _synchronise(temporary)
        os.replace(temporary, target)
        _synchronise_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` in one step, as :func:`replacing` does."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write `content` to `path` as UTF-8 in one step, as :func:`replacing` does."""
    write_bytes(path, content.encode("utf-8"))


def _synchronise(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _synchronise_folder(folder: Path) -> None:
    # The rename itself survives a power cut only once the folder is on disk; not all systems can.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
