"""Journal of an interrupted encoding: kept beside the output, so that the next run resumes.

A token file of its own, written now and then while a piece is encoded, and good only for the same
source (by size and time of change) and the same tokenizer. Knows nothing of how to encode.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bandtok.errors import GridError, TokenFileError
from bandtok.tokens.grid import TokenGrid

_KEY = "unfinished"


class EncodingJournal:
    """The codes found so far of one source.

    Args:
        path: where they are kept.
        source: the audio file they are of.
        fingerprint: of the tokenizer that finds them.
    """

    def __init__(self, path: Path, source: Path, fingerprint: str) -> None:
        found = source.stat()
        self.path, self._fingerprint = path, fingerprint
        self._source = {"bytes": found.st_size, "modified_ns": found.st_mtime_ns}

    @classmethod
    def beside(cls, target: Path, source: Path, fingerprint: str) -> EncodingJournal:
        """Keep them in a hidden file beside the output `target`."""
        return cls(target.with_name(f".{target.name}.unfinished"), source, fingerprint)

    def known_codes(self) -> np.ndarray | None:
        """Return int32 [bands, frames] that still hold; None if there are none."""
        try:
            grid = TokenGrid.load(self.path)
        except (TokenFileError, GridError, OSError):
            return None
        ours = grid.fingerprint == self._fingerprint and grid.extra.get(_KEY) == self._source
        return grid.codes if ours else None

    def keep(self, grid: TokenGrid) -> None:
        """Keep the codes found so far instead of those kept before."""
        replace(grid, extra={**grid.extra, _KEY: self._source}).save(self.path)

    def discard(self) -> None:
        """Remove what was kept, once the piece is done."""
        self.path.unlink(missing_ok=True)
