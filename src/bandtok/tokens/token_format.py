"""The bytes of a .btk file: prefix, blocks and footer, made and checked (docs/token-file.md).

Every byte is under a checksum or compared with a constant, and every size is checked against the
real file before anything of that size is allocated. Knows numpy and the standard library only.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, NoReturn

import numpy as np

from bandtok.errors import (
    ChecksumMismatch,
    NotATokenFile,
    TokenFileError,
    TokenOutOfRange,
    Truncated,
    UnsupportedVersion,
)
from bandtok.tokens.token_header import (
    MAX_HEADER_BYTES,
    PAN_VERSION,
    VERSION,
    TokenFileHeader,
    header_json,
    parse_header,
)

MAGIC = b"\x89BTK\r\n\x1a\n"
END_MAGIC = b"\x1aBTKEND\n"
MAX_PAYLOAD_BYTES = 1 << 20
_TOKENS_PER_BLOCK = 1 << 12
_BLOCK_MARK, FOOTER_MARK = b"BLCK", b"FOOT"
_PREFIX = struct.Struct("<8sHHI")  # magic, major, minor, header bytes
_CRC = struct.Struct("<I")
_BLOCK = struct.Struct("<4sQII")  # mark, first frame, frames, payload bytes
_FOOTER = struct.Struct("<4sI")  # mark, blocks
_ENTRY = struct.Struct("<QQII")  # offset, first frame, frames, checksum
_TOTALS = struct.Struct("<Q32sI")  # frames, SHA-256 of all payloads, footer bytes
_MIN_FOOTER_BYTES = _FOOTER.size + _TOTALS.size + _CRC.size


@dataclass(frozen=True)
class Entry:
    offset: int
    first_frame: int
    frames: int
    checksum: int


@dataclass(frozen=True)
class Footer:
    entries: list[Entry]
    num_frames: int
    sha256: bytes


@dataclass(frozen=True)
class Block:
    codes: np.ndarray
    payload: bytes
    checksum: int
    end: int


class Source:
    """A regular file whose size is known, read at given offsets."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self.name = name
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotATokenFile(f"{name} is not a regular file; expected a .btk file")
        self.size = status.st_size

    def at(self, offset: int, length: int, what: str) -> bytes:
        """Read exactly `length` bytes at `offset`, which must lie inside the file."""
        if offset + length > self.size:
            self.short(offset, length, what)
        self._file.seek(offset)
        data: bytes = self._file.read(length)
        if len(data) != length:
            self.short(offset, length, what)
        return data

    def short(self, offset: int, length: int, what: str) -> NoReturn:
        raise Truncated(
            f"{self.name} has {self.size} bytes; expected {what} up to byte {offset + length}; "
            "copy the file again, or keep its whole blocks with 'bandtok verify --salvage'"
        )


def file_bytes(header: TokenFileHeader, codes: np.ndarray) -> bytes:
    text = header_json(header)
    version = PAN_VERSION if header.pan_bands else header.version
    prefix = _PREFIX.pack(MAGIC, *version, len(text))
    seed = _CRC.pack(zlib.crc32(prefix + text))
    pieces, entries, digest = [prefix, seed, text], [], hashlib.sha256()
    offset = sum(map(len, pieces))
    step = max(1, _TOKENS_PER_BLOCK // header.bands)
    for first_frame in range(0, codes.shape[1], step):
        payload = _pack(codes[:, first_frame : first_frame + step], header.bits_per_code)
        frames = min(step, codes.shape[1] - first_frame)
        body = _BLOCK.pack(_BLOCK_MARK, first_frame, frames, len(payload)) + payload
        checksum = zlib.crc32(seed + body)
        digest.update(payload)
        entries.append(_ENTRY.pack(offset, first_frame, frames, checksum))
        pieces += [body, _CRC.pack(checksum)]
        offset += len(body) + _CRC.size
    footer = _FOOTER.pack(FOOTER_MARK, len(entries)) + b"".join(entries)
    length = len(footer) + _TOTALS.size + _CRC.size
    footer += _TOTALS.pack(codes.shape[1], digest.digest(), length)
    return b"".join([*pieces, footer, _CRC.pack(zlib.crc32(seed + footer)), END_MAGIC])


def _pack(codes: np.ndarray, bits: int) -> bytes:
    """Pack [bands, frames] frame by frame, lowest band first, most significant bit first."""
    tokens = codes.T.reshape(-1, 1).astype(np.uint32)
    shifts = np.arange(bits - 1, -1, -1, dtype=np.uint32)
    return np.packbits(((tokens >> shifts) & 1).astype(np.uint8)).tobytes()


def read_header(source: Source) -> tuple[TokenFileHeader, bytes, int]:
    """Return the header, the bytes of its checksum and the offset of the first block."""
    start = source.at(0, min(source.size, len(MAGIC)), "the magic")
    if start != MAGIC[: len(start)] or not start:
        raise NotATokenFile(
            f"{source.name} begins with {start!r}; expected a .btk file, which begins {MAGIC!r}"
        )
    prefix = source.at(0, _PREFIX.size, "the prefix")
    _, major, minor, length = _PREFIX.unpack(prefix)
    if major != VERSION[0]:
        raise UnsupportedVersion(
            f"{source.name} is of version {major}.{minor}; this program reads {VERSION[0]}.x: "
            "use a newer bandtok"
        )
    if length > MAX_HEADER_BYTES:
        raise TokenFileError(
            f"{source.name}: got a header of {length} bytes; expected at most {MAX_HEADER_BYTES}"
        )
    seed = source.at(_PREFIX.size, _CRC.size, "the header's checksum")
    text = source.at(_PREFIX.size + _CRC.size, length, "the header")
    if zlib.crc32(prefix + text) != _CRC.unpack(seed)[0]:
        raise ChecksumMismatch(f"{source.name}: the header has changed since it was written")
    header = parse_header(text, (major, minor), source.name)
    return header, seed, _PREFIX.size + _CRC.size + length


def read_footer(source: Source, header: TokenFileHeader, start: int) -> Footer:
    """Read and check everything after the blocks; `start` is where the blocks begin."""
    end = source.size - len(END_MAGIC)
    room = end - start
    if room < _MIN_FOOTER_BYTES:
        source.short(start, _MIN_FOOTER_BYTES + len(END_MAGIC), "blocks and a footer")
    if source.at(end, len(END_MAGIC), "the end mark") != END_MAGIC:
        raise Truncated(
            f"{source.name} does not end with its end mark: it was cut, or bytes were added; copy "
            "the file again, or keep its whole blocks with 'bandtok verify --salvage'"
        )
    tail = source.at(end - _TOTALS.size - _CRC.size, _TOTALS.size, "the totals")
    num_frames, sha256, length = _TOTALS.unpack(tail)
    if not _MIN_FOOTER_BYTES <= length <= room:
        raise ChecksumMismatch(
            f"{source.name}: got a footer of {length} bytes; expected {_MIN_FOOTER_BYTES} to {room}"
        )
    footer = source.at(end - length, length, "the footer")
    seed = source.at(_PREFIX.size, _CRC.size, "the header's checksum")
    body = footer[: -_CRC.size]
    if zlib.crc32(seed + body) != _CRC.unpack(footer[-_CRC.size :])[0]:
        raise ChecksumMismatch(f"{source.name}: the footer has changed since it was written")
    mark, count = _FOOTER.unpack_from(footer)
    table = footer[_FOOTER.size : -_TOTALS.size - _CRC.size]
    if mark != FOOTER_MARK or len(table) != count * _ENTRY.size:
        raise TokenFileError(f"{source.name}: the footer does not hold a table of {count} blocks")
    entries = [Entry(*values) for values in _ENTRY.iter_unpack(table)]
    _check_table(entries, header, start, end - length, num_frames, source.name)
    return Footer(entries=entries, num_frames=num_frames, sha256=sha256)


def _check_table(
    entries: list[Entry],
    header: TokenFileHeader,
    start: int,
    stop: int,
    num_frames: int,
    name: str,
) -> None:
    """The blocks must follow one another without a gap, in bytes and in frames."""
    offset, frame = start, 0
    for entry in entries:
        size = header.payload_bytes(entry.frames)
        if (entry.offset, entry.first_frame) != (offset, frame) or not entry.frames:
            raise TokenFileError(f"{name}: the block table has a gap at frame {frame}")
        if size > MAX_PAYLOAD_BYTES:
            raise TokenFileError(
                f"{name}: got a block of {size} bytes; expected at most {MAX_PAYLOAD_BYTES}"
            )
        offset += _BLOCK.size + size + _CRC.size
        frame += entry.frames
    if (offset, frame) != (stop, num_frames):
        raise TokenFileError(
            f"{name}: the block table ends at byte {offset}, frame {frame}; "
            f"expected byte {stop}, frame {num_frames}"
        )


def read_block(
    source: Source, header: TokenFileHeader, seed: bytes, offset: int, first_frame: int
) -> Block:
    """Read the block at `offset`, which must begin with `first_frame`."""
    start = source.at(offset, _BLOCK.size, "a block")
    mark, first, frames, length = _BLOCK.unpack(start)
    fits = mark == _BLOCK_MARK and first == first_frame and length == header.payload_bytes(frames)
    if not fits or not 0 < length <= MAX_PAYLOAD_BYTES:
        raise ChecksumMismatch(
            f"{source.name}: the start of the block at byte {offset} has changed since it was "
            "written"
        )
    payload = source.at(offset + _BLOCK.size, length, "a block")
    stored = source.at(offset + _BLOCK.size + length, _CRC.size, "a block's checksum")
    checksum = zlib.crc32(seed + start + payload)
    if checksum != _CRC.unpack(stored)[0]:
        raise ChecksumMismatch(
            f"{source.name}: frames {first} to {first + frames - 1} have changed since they were "
            "written"
        )
    codes = _unpack(payload, frames, header, source.name)
    end = offset + _BLOCK.size + length + _CRC.size
    return Block(codes=codes, payload=payload, checksum=checksum, end=end)


def _unpack(payload: bytes, frames: int, header: TokenFileHeader, name: str) -> np.ndarray:
    """Undo :func:`_pack` and check every id against the codebook."""
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))
    used = frames * header.bands * header.bits_per_code
    if bits[used:].any():
        raise TokenFileError(f"{name}: the bits after the last token are not zero")
    columns = bits[:used].reshape(-1, header.bits_per_code)
    tokens = np.zeros(len(columns), np.int32)
    for index in range(header.bits_per_code):
        tokens = (tokens << 1) | columns[:, index]
    if tokens.max() >= header.codebook_size:
        raise TokenOutOfRange(
            f"{name}: got token {tokens.max()}; expected 0 to {header.codebook_size - 1}"
        )
    return np.ascontiguousarray(tokens.reshape(frames, header.bands).T)


def check_length(header: TokenFileHeader, num_frames: int, name: str) -> None:
    whole = num_frames * header.samples_per_frame
    if header.num_samples is None:
        return
    if not whole - header.samples_per_frame < header.num_samples <= whole:
        raise TokenFileError(
            f"{name}: got {header.num_samples} samples for {num_frames} frames of "
            f"{header.samples_per_frame}; expected that many frames to hold them"
        )
