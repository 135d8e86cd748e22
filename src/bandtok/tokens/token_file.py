"""Token files: a token grid <-> one checked .btk file, whole or by frames.

Reading codes needs numpy and the standard library only. Knows nothing of models: it carries their
name and fingerprint. The bytes themselves are in :mod:`bandtok.tokens.token_format`.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from bandtok import __version__
from bandtok.errors import ChecksumMismatch, TokenFileError
from bandtok.tokens.atomic import write_bytes
from bandtok.tokens.token_format import (
    FOOTER_MARK,
    Block,
    Entry,
    Source,
    check_length,
    file_bytes,
    read_block,
    read_footer,
    read_header,
)
from bandtok.tokens.token_header import TokenFileHeader

if TYPE_CHECKING:
    from bandtok.tokens.grid import TokenGrid

TOKEN_FILE_SUFFIX = ".btk"
_PROMOTED = ("channels", "encode_mode")  # keys of TokenGrid.extra with a header field of their own


@dataclass(frozen=True, kw_only=True)
class Salvage:
    """The whole blocks at the start of a damaged file, and what ended them."""

    grid: TokenGrid
    damage: str


def write_token_file(path: str | os.PathLike[str], grid: TokenGrid) -> None:
    """Write `grid` to `path`, atomically; the same grid gives the same bytes.

    `grid.extra` must be JSON; its keys `channels` and `encode_mode` become header fields.

    Raises:
        TokenFileError: if the grid has no bands, or `extra` is not JSON or too large.
        OSError: if the file cannot be written.
    """
    write_bytes(path, file_bytes(_header_of(grid), np.asarray(grid.codes)))


def read_token_file(path: str | os.PathLike[str]) -> TokenGrid:
    """Read and check a whole token file.

    Raises:
        TokenFileError: the child class says what is wrong: NotATokenFile, UnsupportedVersion,
            Truncated, ChecksumMismatch or TokenOutOfRange.
        OSError: if the file cannot be opened.
    """
    with TokenFile(path) as file:
        return _as_grid(file.header, file.read())


def salvage_token_file(path: str | os.PathLike[str]) -> Salvage:
    """Read the whole blocks before the first damage; the header must be intact.

    Raises:
        TokenFileError: if the header itself is damaged.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        source = Source(file, Path(path).name)
        header, seed, offset = read_header(source)
        blocks, damage = [np.zeros((header.bands, 0), np.int32)], "nothing: every block is whole"
        first_frame = 0
        try:
            while source.at(offset, 4, "a block mark") != FOOTER_MARK:
                block = read_block(source, header, seed, offset, first_frame)
                blocks.append(block.codes)
                offset, first_frame = block.end, first_frame + block.codes.shape[1]
            check_length(header, first_frame, source.name)
        except TokenFileError as error:
            damage = str(error)
    codes = np.concatenate(blocks, axis=1)
    return Salvage(grid=_as_grid(header, codes, cut=True), damage=damage)


class TokenFile:
    """A token file open for reading; header and block table are checked, codes are read on demand.

    Use as a context manager. Needs numpy and the standard library only.

    Attributes:
        header: the :class:`TokenFileHeader`.
        num_frames: frames in the file.
        num_blocks: blocks in the file.
        size_bytes: size of the file.
        payload_sha256: hash over all packed codes, hexadecimal.

    Raises:
        TokenFileError: if header or footer are damaged (see :func:`read_token_file`).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 (closed by close())
        try:
            self._source = Source(self._file, Path(path).name)
            self.size_bytes = self._source.size
            self.header, self._seed, start = read_header(self._source)
            self._footer = read_footer(self._source, self.header, start)
            check_length(self.header, self.num_frames, self._source.name)
        except BaseException:
            self._file.close()
            raise

    @property
    def num_frames(self) -> int:
        return self._footer.num_frames

    @property
    def num_blocks(self) -> int:
        return len(self._footer.entries)

    @property
    def payload_sha256(self) -> str:
        return self._footer.sha256.hex()

    def read(self) -> np.ndarray:
        """Return all codes, int32 [bands, frames], and check the hash over the whole payload."""
        digest = hashlib.sha256()
        codes = self._collect(0, self.num_frames, digest)
        if digest.digest() != self._footer.sha256:
            raise ChecksumMismatch(f"{self._source.name}: the payload is not the one hashed")
        return codes

    def read_frames(self, start: int, stop: int) -> np.ndarray:
        """Return frames start .. stop - 1 as int32 [bands, stop - start]; reads only their blocks.

        Raises:
            TokenFileError: if the range is not inside the file or a block is damaged.
        """
        if not 0 <= start <= stop <= self.num_frames:
            raise TokenFileError(
                f"{self._source.name}: got frames {start} to {stop}; "
                f"expected a range inside 0 to {self.num_frames}"
            )
        return self._collect(start, stop)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> TokenFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _collect(self, start: int, stop: int, digest: hashlib._Hash | None = None) -> np.ndarray:
        codes = np.empty((self.header.bands, stop - start), np.int32)
        for entry, block in self._blocks(start, stop):
            if digest:
                digest.update(block.payload)
            low = max(start, entry.first_frame)
            high = min(stop, entry.first_frame + entry.frames)
            inside = block.codes[:, low - entry.first_frame : high - entry.first_frame]
            codes[:, low - start : high - start] = inside
        return codes

    def _blocks(self, start: int, stop: int) -> Iterator[tuple[Entry, Block]]:
        entries = self._footer.entries
        index = max(0, bisect_right(entries, start, key=lambda entry: entry.first_frame) - 1)
        for entry in entries[index:]:
            if entry.first_frame >= stop:
                return
            block = read_block(
                self._source, self.header, self._seed, entry.offset, entry.first_frame
            )
            if (block.checksum, block.codes.shape[1]) != (entry.checksum, entry.frames):
                raise ChecksumMismatch(
                    f"{self._source.name}: the block at byte {entry.offset} is not the listed one"
                )
            yield entry, block


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe without a writer would otherwise block for ever."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _header_of(grid: TokenGrid) -> TokenFileHeader:
    extra = dict(grid.extra)
    promoted = {name: extra.pop(name) for name in _PROMOTED if name in extra}
    if grid.pan_bands:
        promoted["channels"] = grid.channels
    return TokenFileHeader(
        codebook_size=grid.codebook_size,
        bands=grid.num_rows,
        pan_bands=grid.pan_bands,
        sample_rate=grid.sample_rate,
        samples_per_frame=grid.samples_per_frame,
        num_samples=grid.num_samples,
        model_id=grid.model_id,
        fingerprint=grid.fingerprint,
        tool_version=f"bandtok {__version__}",
        extra=extra,
        **promoted,  # type: ignore[arg-type]
    )


def _as_grid(header: TokenFileHeader, codes: np.ndarray, cut: bool = False) -> TokenGrid:
    """Make the TokenGrid; `cut` takes whole frames if they do not fit the length that was said."""
    num_samples = header.num_samples
    if cut and num_samples is not None:
        whole = codes.shape[1] * header.samples_per_frame
        fits = whole - header.samples_per_frame < num_samples <= whole
        num_samples = num_samples if fits else whole
    extra = dict(header.extra)
    if header.channels != 1 and not header.pan_bands:
        extra["channels"] = header.channels
    if header.encode_mode:
        extra["encode_mode"] = header.encode_mode
    # Loaded by name: the grid brings torch along, which reading codes does not need.
    grid: TokenGrid = importlib.import_module("bandtok.tokens.grid").TokenGrid(
        codes=codes,
        codebook_size=header.codebook_size,
        sample_rate=header.sample_rate,
        samples_per_frame=header.samples_per_frame,
        num_samples=num_samples,
        model_id=header.model_id,
        fingerprint=header.fingerprint,
        extra=extra,
        pan_bands=header.pan_bands,
    )
    return grid
