"""The bytes of a .btk file: header, blocks and footer, made and checked (docs/token-file.md).

Every byte is under a checksum or compared with a constant, and every size is checked against the
real file before anything of that size is allocated. Knows numpy and the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import zlib
from dataclasses import dataclass, field
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

MAGIC = b"\x89BTK\r\n\x1a\n"
END_MAGIC = b"\x1aBTKEND\n"
VERSION = (1, 0)
_PAN_VERSION = (1, 1)  # the first that knows pan rows; files without them stay as they were
MAX_HEADER_BYTES = 1 << 16
MAX_PAYLOAD_BYTES = 1 << 20
PAN_BITS = 6
"""Bits that the relation of two channels takes in a band and frame of a stereo grid."""
_TOKENS_PER_BLOCK = 1 << 12
_BLOCK_MARK, FOOTER_MARK = b"BLCK", b"FOOT"
_PREFIX = struct.Struct("<8sHHI")  # magic, major, minor, header bytes
_CRC = struct.Struct("<I")
_BLOCK = struct.Struct("<4sQII")  # mark, first frame, frames, payload bytes
_FOOTER = struct.Struct("<4sI")  # mark, blocks
_ENTRY = struct.Struct("<QQII")  # offset, first frame, frames, checksum
_TOTALS = struct.Struct("<Q32sI")  # frames, SHA-256 of all payloads, footer bytes
_MIN_FOOTER_BYTES = _FOOTER.size + _TOTALS.size + _CRC.size


@dataclass(frozen=True, kw_only=True)
class TokenFileHeader:
    """What a token file says about its tokens; integers are exact.

    Args:
        codebook_size: number of entries of the codebook, 1 to 2^31 - 1.
        bands: rows of the grid, pan rows included, 1 to 65535.
        sample_rate: Hz of the audio.
        samples_per_frame: audio samples per frame.
        num_samples: length of the original in samples at `sample_rate`; None if unknown.
        channels: channels of the audio the grid decodes to.
        model_id: name of the tokenizer.
        fingerprint: hash over the tokenizer's config and weights.
        tool_version: the program that wrote the file.
        encode_mode: how the tokens were computed (`dtype`, `device`).
        extra: anything else.
        version: (major, minor) of the file.
        pan_bands: of a stereo grid, the rows that hold sound; pan rows follow them. Otherwise 0.
    """

    codebook_size: int
    bands: int
    sample_rate: int
    samples_per_frame: int
    num_samples: int | None
    channels: int = 1
    model_id: str = ""
    fingerprint: str = ""
    tool_version: str = ""
    encode_mode: dict[str, object] = field(default_factory=dict)
    extra: dict[str, object] = field(default_factory=dict)
    version: tuple[int, int] = VERSION
    pan_bands: int = 0

    def __post_init__(self) -> None:
        for name, most in (
            ("codebook_size", 2**31 - 1),
            ("bands", 2**16 - 1),
            ("sample_rate", 2**31 - 1),
            ("samples_per_frame", 2**31 - 1),
            ("channels", 2**16 - 1),
        ):
            _check_int(name, getattr(self, name), 1, most)
        if self.num_samples is not None:
            _check_int("num_samples", self.num_samples, 0, 2**63 - 1)
        _check_int("pan_bands", self.pan_bands, 0, 2**16 - 1)
        if self.pan_bands:
            self._check_pan_rows()
        for name in ("model_id", "fingerprint", "tool_version"):
            _check_type(name, getattr(self, name), str)
        for name in ("encode_mode", "extra"):
            _check_type(name, getattr(self, name), dict)

    def _check_pan_rows(self) -> None:
        rows = pan_row_count(self.pan_bands, self.codebook_size)
        if not rows or self.bands != self.pan_bands + rows or self.channels != 2:
            raise TokenFileError(
                f"got {self.bands} rows, {self.channels} channels and pan_bands {self.pan_bands} "
                f"at {self.codebook_size} entries; expected {self.pan_bands + rows} rows, "
                f"2 channels and at least {1 << PAN_BITS} entries"
            )

    @property
    def sound_bands(self) -> int:
        """Rows that hold sound: all but the pan rows."""
        return self.pan_bands or self.bands

    @property
    def bits_per_code(self) -> int:
        """ceil(log2(codebook_size)), at least 1."""
        return max(1, (self.codebook_size - 1).bit_length())

    def payload_bytes(self, frames: int) -> int:
        """Bytes that `frames` frames take when packed."""
        return (frames * self.bands * self.bits_per_code + 7) // 8


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


def pan_bands_per_token(codebook_size: int) -> int:
    """Return how many bands of a stereo grid share a token of its pan rows; 0: there is no room."""
    return (codebook_size.bit_length() - 1) // PAN_BITS


def pan_row_count(num_bands: int, codebook_size: int) -> int:
    """Return the pan rows that a stereo grid of `num_bands` has; 0: the codebook is too small."""
    per_token = pan_bands_per_token(codebook_size)
    return -(-num_bands // per_token) if per_token else 0


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
    text = _header_json(header)
    version = _PAN_VERSION if header.pan_bands else header.version
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


def _header_json(header: TokenFileHeader) -> bytes:
    fields = {name: value for name, value in vars(header).items() if name != "version"}
    if not header.pan_bands:
        del fields["pan_bands"]
    try:
        text = json.dumps(
            fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise TokenFileError(f"the grid's 'extra' cannot be written as JSON: {error}") from None
    if len(text) > MAX_HEADER_BYTES:
        raise TokenFileError(
            f"the header would take {len(text)} bytes; expected at most {MAX_HEADER_BYTES}: "
            "put less into the grid's 'extra'"
        )
    return text


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
    header = _parse_header(text, (major, minor), source.name)
    return header, seed, _PREFIX.size + _CRC.size + length


def _parse_header(text: bytes, version: tuple[int, int], name: str) -> TokenFileHeader:
    try:
        fields = json.loads(
            text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise TokenFileError(f"{name}: the header is not canonical JSON: {error}") from None
    if not isinstance(fields, dict):
        raise TokenFileError(f"{name}: the header is not a JSON object")
    known = {key: fields[key] for key in TokenFileHeader.__dataclass_fields__ if key in fields}
    try:
        return TokenFileHeader(**{**known, "version": version})
    except TypeError as error:
        raise TokenFileError(f"{name}: the header lacks a field: {error}") from None
    except TokenFileError as error:
        raise TokenFileError(f"{name}: {error}") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


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


def _check_int(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise TokenFileError(f"got {name} = {value!r:.60}; expected a whole number {least}..{most}")


def _check_type(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise TokenFileError(f"got {name} = {value!r:.60}; expected a {kind.__name__}")
