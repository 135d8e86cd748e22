"""Reads TensorFlow checkpoints ("tensor bundles") without TensorFlow.

    PREFIX.index                  names, types, shapes and places, a table as LevelDB has it
    PREFIX.data-00000-of-00001    the numbers

Every size is checked against the file before it is used, and every block and tensor against its
CRC-32C, so that a damaged file ends in a CheckpointError. Only uncompressed tables and float32
tensors in one data file are read.

Source: TensorFlow, tensor_bundle.proto and lib/io/format; LevelDB, doc/table_format.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandtok.errors import CheckpointError

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER_BYTES = 48
_TRAILER_BYTES = 5  # compression, checksum
_MAX_INDEX_BYTES = 1 << 24
_MAX_DIMENSIONS = 8
_FLOAT32 = 1
_CRC_MASK = 0xA282EAD8
_LANE_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """Where a tensor lies in the data file, and what it is.

    Attributes:
        shape: its sizes.
        offset, size: in bytes.
        crc: masked CRC-32C of its bytes.
    """

    shape: tuple[int, ...]
    offset: int
    size: int
    crc: int


class TensorBundle:
    """One checkpoint, opened by its prefix.

    Args:
        prefix: path without ".index"; may end in "/", as a file name may be nothing but ".index".

    Raises:
        CheckpointError: if the index is missing, damaged or of a kind that is not read.
    """

    def __init__(self, prefix: str | os.PathLike[str]) -> None:
        base = os.fspath(prefix)
        self._index = Path(f"{base}.index")
        self._data = Path(f"{base}.data-00000-of-00001")
        self._entries = dict(_read_index(self._index))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each float32 tensor by name."""
        return {name: entry.shape for name, entry in self._entries.items()}

    def read(self, name: str) -> np.ndarray:
        """Return one tensor as float32.

        Raises:
            CheckpointError: if there is none of that name, or its bytes are missing or changed.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise CheckpointError(f"{self._index} has no float32 tensor {name!r}")
        try:
            with self._data.open("rb") as file:
                length = file.seek(0, os.SEEK_END)
                if entry.offset + entry.size > length:
                    raise CheckpointError(
                        f"{self._data} ends at {length} bytes; expected {name!r} up to "
                        f"{entry.offset + entry.size}"
                    )
                file.seek(entry.offset)
                data = file.read(entry.size)
        except OSError as error:
            raise CheckpointError(f"cannot read {self._data}: {error.strerror}") from None
        if masked_crc32c(data) != entry.crc:
            raise CheckpointError(f"{self._data}: the bytes of {name!r} have changed")
        return np.frombuffer(data, "<f4").astype(np.float32).reshape(entry.shape)


def masked_crc32c(data: bytes) -> int:
    """Return the CRC-32C of `data`, rotated and shifted as these files store it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + _CRC_MASK) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of `data`.

    Long data are cut into lanes that are run side by side and joined afterwards, as a CRC is
    linear: the CRC of two parts is that of the first, run on over zeros, xor that of the second.
    """
    if len(data) < 4:
        state = 0xFFFFFFFF
        for byte in data:
            state = int(_TABLE[(state ^ byte) & 0xFF]) ^ (state >> 8)
        return state ^ 0xFFFFFFFF
    lanes = -(-len(data) // _LANE_BYTES)
    padded = np.zeros(lanes * _LANE_BYTES, np.uint8)
    start = len(padded) - len(data)  # zeros in front leave a state of zero as it is
    padded[start:] = np.frombuffer(data, np.uint8)
    padded[start : start + 4] ^= 0xFF  # the same as an initial state of all ones
    states = _run(np.zeros(lanes, np.uint32), padded.reshape(lanes, _LANE_BYTES).T)
    crc = 0
    for lane in states.tolist():
        for place in range(4):
            lane ^= int(_OVER_A_LANE[place, (crc >> (8 * place)) & 0xFF])
        crc = lane
    return crc ^ 0xFFFFFFFF


def _crc_table() -> np.ndarray:
    table: np.ndarray = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ ((table & 1) * np.uint32(0x82F63B78))
    return table


def _run(states: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Take one byte of each lane at a time: states uint32 [lanes], columns uint8 [n, lanes]."""
    for column in columns:
        states = _TABLE[(states ^ column) & 0xFF] ^ (states >> 8)
    return states


_TABLE = _crc_table()
_OVER_A_LANE = _run(
    (np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], np.uint32)).ravel(),
    np.zeros((_LANE_BYTES, 1), np.uint8),
).reshape(4, 256)
"""What a lane of zeros makes of each byte of a state, by its place."""


def _read_index(path: Path) -> Iterator[tuple[str, TensorEntry]]:
    try:
        size = path.stat().st_size
        if not _FOOTER_BYTES <= size <= _MAX_INDEX_BYTES:
            raise CheckpointError(
                f"{path} has {size} bytes; expected {_FOOTER_BYTES} to {_MAX_INDEX_BYTES} of an "
                "index of tensors"
            )
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from None
    try:
        yield from _entries(content)
    except _Damaged as error:
        raise CheckpointError(f"{path} is not a usable index of tensors: {error}") from None


class _Damaged(Exception):
    """What is wrong with an index."""


def _entries(content: bytes) -> Iterator[tuple[str, TensorEntry]]:
    footer = content[-_FOOTER_BYTES:]
    if footer[-len(_MAGIC) :] != _MAGIC:
        raise _Damaged("it does not end as such a table does")
    places = _Reader(footer)
    places.varint(), places.varint()  # the index of metadata, which such tables do not use
    for _, place in _block_items(content, places.varint(), places.varint()):
        handle = _Reader(place)
        for key, value in _block_items(content, handle.varint(), handle.varint()):
            if not key:
                _check_header(value)
                continue
            entry = _entry(value)
            if entry is not None:
                yield _text(key), entry


def _block_items(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; each key gives only what differs from the last."""
    end = offset + size
    if end + _TRAILER_BYTES > len(content) - _FOOTER_BYTES or size < 4:
        raise _Damaged(f"a block of {size} bytes at {offset} lies outside the file")
    stored = int.from_bytes(content[end + 1 : end + _TRAILER_BYTES], "little")
    if masked_crc32c(content[offset : end + 1]) != stored:
        raise _Damaged(f"the block at {offset} has changed")
    if content[end] != 0:
        raise _Damaged(f"the block at {offset} is compressed")
    block = content[offset:end]
    restarts = int.from_bytes(block[-4:], "little")
    room = len(block) - 4 - 4 * restarts
    if room < 0:
        raise _Damaged(f"the block at {offset} has {restarts} restarts")
    reader = _Reader(block[:room])
    key = b""
    while reader.left:
        shared, rest, length = reader.varint(), reader.varint(), reader.varint()
        if shared > len(key):
            raise _Damaged("a name shares more than its forerunner has")
        key = key[:shared] + reader.take(rest)
        yield key, reader.take(length)


def _check_header(value: bytes) -> None:
    header = dict(_fields(value))
    if header.get(1) != 1 or header.get(2, 0) != 0:
        raise _Damaged("it is of several data files, or big-endian")


def _entry(value: bytes) -> TensorEntry | None:
    """Return a float32 tensor's entry; None for one of another type."""
    fields = dict(_fields(value))
    if fields.get(1) != _FLOAT32:
        return None
    shape = _shape(fields.get(2, b""))
    offset, size, crc = (fields.get(number, 0) for number in (4, 5, 6))
    if not (isinstance(offset, int) and isinstance(size, int) and isinstance(crc, int)):
        raise _Damaged("an entry's place is no number")
    if fields.get(3, 0) != 0 or 7 in fields or size != 4 * _count(shape):
        raise _Damaged(f"a tensor of shape {shape} has {size} bytes, or is cut into slices")
    return TensorEntry(shape=shape, offset=offset, size=size, crc=crc)


def _shape(message: int | bytes) -> tuple[int, ...]:
    if isinstance(message, int):
        raise _Damaged("a shape is a number")
    sizes = []
    for number, dimension in _fields(message):
        if number == 2 and isinstance(dimension, bytes):
            size = dict(_fields(dimension)).get(1, 0)
            if not isinstance(size, int):
                raise _Damaged("a size is no number")
            sizes.append(size)
    if len(sizes) > _MAX_DIMENSIONS:
        raise _Damaged(f"a tensor has {len(sizes)} dimensions")
    return tuple(sizes)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of a protocol buffer's fields."""
    reader = _Reader(message)
    while reader.left:
        tag = reader.varint()
        match tag & 7:
            case 0:
                yield tag >> 3, reader.varint()
            case 1:
                yield tag >> 3, int.from_bytes(reader.take(8), "little")
            case 2:
                yield tag >> 3, reader.take(reader.varint())
            case 5:
                yield tag >> 3, int.from_bytes(reader.take(4), "little")
            case kind:
                raise _Damaged(f"a field has the unknown wire type {kind}")


def _text(key: bytes) -> str:
    try:
        return key.decode("utf-8")
    except UnicodeDecodeError:
        raise _Damaged("a name is not UTF-8") from None


class _Reader:
    """Takes numbers and bytes off the front of `data`, never beyond its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._place

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise _Damaged(f"{count} bytes expected where {self.left} are left")
        self._place += count
        return self._data[self._place - count : self._place]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 64, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise _Damaged("a number of more than 64 bits")
