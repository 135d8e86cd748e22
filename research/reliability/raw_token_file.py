"""A second, plain writer and reader of .btk bytes, from docs/token-file.md alone.

Every field may be set to a lie; checksums that are not set are made to fit, so that a lie gets past
them. Shares no code with bandtok and uses the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

MAGIC = b"\x89BTK\r\n\x1a\n"
END_MARK = b"\x1aBTKEND\n"

Row = Sequence[int]
Header = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class RawBlock:
    """One block; `size` and `checksum` are made to fit when None."""

    first_frame: int
    frames: int
    payload: bytes
    mark: bytes = b"BLCK"
    size: int | None = None
    checksum: int | None = None

    def to_bytes(self, seed: bytes) -> bytes:
        """Return the block as it stands in a file with this seed."""
        size = len(self.payload) if self.size is None else self.size
        body = self.mark + struct.pack("<QII", self.first_frame, self.frames, size) + self.payload
        checksum = zlib.crc32(seed + body) if self.checksum is None else self.checksum
        return body + struct.pack("<I", checksum)


@dataclass(frozen=True, kw_only=True)
class RawEntry:
    """One line of the block table."""

    offset: int
    first_frame: int
    frames: int
    checksum: int

    def to_bytes(self) -> bytes:
        """Return the 24 bytes of the line."""
        return struct.pack("<QQII", self.offset, self.first_frame, self.frames, self.checksum)


@dataclass(frozen=True, kw_only=True)
class RawFooter:
    """What the footer says instead of the truth; None is the truth."""

    mark: bytes = b"FOOT"
    count: int | None = None
    entries: tuple[RawEntry, ...] | None = None
    num_frames: int | None = None
    sha256: bytes | None = None
    size: int | None = None
    checksum: int | None = None


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A whole file; `header_size` and `header_checksum` are made to fit when None."""

    header: bytes
    blocks: tuple[RawBlock, ...] = ()
    footer: RawFooter = field(default_factory=RawFooter)
    magic: bytes = MAGIC
    version: tuple[int, int] = (1, 0)
    header_size: int | None = None
    header_checksum: int | None = None
    end_mark: bytes = END_MARK

    def start(self) -> bytes:
        """Return prefix and header."""
        size = len(self.header) if self.header_size is None else self.header_size
        prefix = self.magic + struct.pack("<HHI", *self.version, size)
        checksum = self.header_checksum
        if checksum is None:
            checksum = zlib.crc32(prefix + self.header)
        return prefix + struct.pack("<I", checksum) + self.header

    @property
    def seed(self) -> bytes:
        """The four bytes that every later checksum begins with."""
        return self.start()[16:20]

    def true_entries(self) -> tuple[RawEntry, ...]:
        """Return the block table as it ought to be."""
        offset, entries = len(self.start()), []
        for block in self.blocks:
            data = block.to_bytes(self.seed)
            checksum = struct.unpack("<I", data[-4:])[0]
            entries.append(
                RawEntry(
                    offset=offset,
                    first_frame=block.first_frame,
                    frames=block.frames,
                    checksum=checksum,
                )
            )
            offset += len(data)
        return tuple(entries)

    def to_bytes(self) -> bytes:
        """Return the file."""
        blocks = b"".join(block.to_bytes(self.seed) for block in self.blocks)
        return self.start() + blocks + self._footer_bytes() + self.end_mark

    def _footer_bytes(self) -> bytes:
        said = self.footer
        entries = self.true_entries() if said.entries is None else said.entries
        count = len(entries) if said.count is None else said.count
        frames = sum(block.frames for block in self.blocks)
        frames = frames if said.num_frames is None else said.num_frames
        digest = hashlib.sha256(b"".join(block.payload for block in self.blocks)).digest()
        size = 56 + 24 * len(entries) if said.size is None else said.size
        body = said.mark + struct.pack("<I", count) + b"".join(e.to_bytes() for e in entries)
        body += struct.pack("<Q", frames) + (said.sha256 or digest) + struct.pack("<I", size)
        checksum = zlib.crc32(self.seed + body) if said.checksum is None else said.checksum
        return body + struct.pack("<I", checksum)


def header_bytes(fields: Header) -> bytes:
    """Return a header as canonical JSON."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def bits_per_token(codebook_size: int) -> int:
    """Return how many bits a token takes."""
    return max(1, (codebook_size - 1).bit_length())


def pack_tokens(tokens: Row, bits: int) -> bytes:
    """Write tokens one after another, highest bit first; the last byte is filled with zeros."""
    number = 0
    for token in tokens:
        number = (number << bits) | token
    size = (len(tokens) * bits + 7) // 8
    return (number << (8 * size - len(tokens) * bits)).to_bytes(size, "big")


def unpack_tokens(payload: bytes, count: int, bits: int) -> list[int]:
    """Undo :func:`pack_tokens`."""
    number = int.from_bytes(payload, "big") >> (8 * len(payload) - count * bits)
    mask = (1 << bits) - 1
    return [(number >> (bits * place)) & mask for place in range(count - 1, -1, -1)]


def raw_file(fields: Header, codes: Sequence[Row], sizes: Sequence[int]) -> RawFile:
    """Return the file of a grid.

    Args:
        fields: of the header; `bands` and `codebook_size` must be right.
        codes: [bands, frames].
        sizes: frames of each block.
    """
    bits = bits_per_token(_whole_number(fields["codebook_size"]))
    blocks, first = [], 0
    for frames in sizes:
        columns = range(first, first + frames)
        payload = pack_tokens([row[column] for column in columns for row in codes], bits)
        blocks.append(RawBlock(first_frame=first, frames=frames, payload=payload))
        first += frames
    return RawFile(header=header_bytes(fields), blocks=tuple(blocks))


def decode_codes(raw: RawFile, bands: int, codebook_size: int) -> list[list[int]]:
    """Return the codes [bands, frames] that the blocks hold, whatever their checksums say."""
    bits = bits_per_token(codebook_size)
    frames: list[list[int]] = []
    for block in raw.blocks:
        tokens = unpack_tokens(block.payload, block.frames * bands, bits)
        frames += [tokens[start : start + bands] for start in range(0, len(tokens), bands)]
    return [[frame[band] for frame in frames] for band in range(bands)]


def _whole_number(value: object) -> int:
    assert isinstance(value, int)
    return value
