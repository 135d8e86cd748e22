"""Memory settings of the program."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from bandtok.cli.memory import keep_freed_memory

_FREED_AGAIN = """
import resource
import numpy as np
from bandtok.cli.memory import keep_freed_memory

def cleared_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(8 * 2**20, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = cleared_pages()
assert keep_freed_memory()
cleared_pages()
print(plain, cleared_pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_pages_are_cleared_once_and_not_for_every_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "1000000")
    assert not keep_freed_memory()  # the environment's settings are left as they are
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_")
    done = subprocess.run(
        [sys.executable, "-c", _FREED_AGAIN], check=True, capture_output=True, text=True
    )
    plain, kept = map(int, done.stdout.split())
    assert plain > 20
    assert kept < plain / 4


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bandtok.cli.memory.os.environ", {})
    monkeypatch.setattr("bandtok.cli.memory.ctypes.CDLL", lambda name: object())
    assert not keep_freed_memory()
