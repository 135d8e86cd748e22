"""A short share of the reader's fuzzing, and that it would see a reader that is wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from bandtok.tokens.token_file import TokenFile
from research.reliability import fuzz_reader

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses files in memory")


@pytest.mark.parametrize("seed", [1, 2])
def test_no_promise_is_broken(seed: int) -> None:
    tally = fuzz_reader.run(1200, seed)
    assert [(kind, problem) for kind, problem, _ in tally.failures] == []
    assert tally.inputs == 1200
    assert {"read", "Truncated", "ChecksumMismatch", "TokenFileError"} <= set(tally.answers)
    assert len(tally.kinds) > 10
    assert tally.salvaged > 50


def test_a_seed_gives_the_same_inputs() -> None:
    first, second, other = (list(islice(fuzz_reader.mutants(300, s), 300)) for s in (3, 3, 4))
    assert [m.data for m in first] == [m.data for m in second]
    assert [m.data for m in first] != [m.data for m in other]


def wrong_code(self: TokenFile) -> np.ndarray:
    codes = READ(self).copy()
    codes[:1, :1] ^= 1
    return codes


def crash(self: TokenFile) -> np.ndarray:
    raise IndexError(7)


def slow(self: TokenFile) -> np.ndarray:
    raise fuzz_reader.TookTooLongError


READ = TokenFile.read


@pytest.mark.parametrize("read", [wrong_code, crash, slow])
def test_a_wrong_reader_is_seen(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[TokenFile], np.ndarray]
) -> None:
    monkeypatch.setattr(TokenFile, "read", read)
    assert fuzz_reader.run(600, 0).failed > 0


def test_a_reader_without_checksums_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bandtok.tokens.token_format.zlib", FakeZlib())
    assert fuzz_reader.run(300, 0).failed > 0


class FakeZlib:
    """Takes every number for a checksum."""

    class Anything(int):
        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = int.__hash__

    def crc32(self, data: bytes) -> int:
        return self.Anything(0)
