"""Write a file so that its name shows either the old content or all of the new, never a part.

The content goes to a hidden file in the same folder, is synchronized to disk and then renamed. That
file's name follows from the target's, so that what a killed writer left is written over by the next
one instead of piling up. Knows nothing of what is written.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this system: every writer gets a name of its own
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, with its suffix; rename it to `path` on success.

    The caller writes the yielded path, which may be there already, empty. If the block raises, the
    temporary file is removed and `path` is as it was. Several may write one target at the same
    time; the last to finish wins.

    Args:
        path: the file to create or replace; its folder must exist.

    Raises:
        OSError: if the folder cannot be written, or the caller did not write the file.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; expected a file name")
    key = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    temporary = target.with_name(f".{key}.part{target.suffix}")
    handle = _claim(temporary)
    if handle is None:
        temporary = target.with_name(f".{key}.{secrets.token_hex(8)}.part{target.suffix}")
    try:
        yield temporary
        _check_written(temporary, handle)
        _synchronise(temporary)
        os.replace(temporary, target)
        _synchronise_folder(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if handle is not None:
            os.close(handle)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` in one step, as :func:`replacing` does."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        if error.strerror:
            error.filename = os.fspath(path)  # the caller does not know the temporary file
        raise


def write_text(path: str | os.PathLike[str], content: str) -> None:
    """Write `content` to `path` as UTF-8 in one step, as :func:`replacing` does."""
    write_bytes(path, content.encode("utf-8"))


def _claim(path: Path) -> int | None:
    """Make `path`, or take over what a dead writer left there; None if that cannot be had.

    The lock on the open file goes with its process, however that ends.
    """
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError:  # left by another user, or no place to write: the caller's own attempt fails
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its former owner may have renamed or removed it between our opening and our locking.
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            os.ftruncate(handle, 0)
            os.utime(handle, (0, 0))
            return handle
    except OSError:  # another writer is at it, or no locks on this file system
        pass
    os.close(handle)
    return None


def _check_written(path: Path, handle: int | None) -> None:
    """Raise FileNotFoundError if the claimed file is as it was when claimed."""
    found = os.stat(path)
    untouched = handle is not None and os.path.samestat(found, os.fstat(handle))
    if untouched and found.st_size == 0 and found.st_mtime_ns == 0:
        raise FileNotFoundError(f"nothing was written to {os.fspath(path)!r}")


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
