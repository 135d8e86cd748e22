"""Damage to token files: blind changes of bytes, and lies whose checksums are made to fit.

    original -> Mutant: bytes, and what a reader may answer

Everything follows from a seed. Knows nothing of the reader under test.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from research.reliability.raw_token_file import (
    END_MARK,
    RawBlock,
    RawEntry,
    RawFile,
    RawFooter,
    decode_codes,
    header_bytes,
    raw_file,
)

HOSTILE_NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 15, 16, 20, 24, 55, 56, 57, 80, 255, 256, 65535, 65536, 65537),
    *(2**20 - 1, 2**20, 2**20 + 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1),
    *(2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1),
)
HOSTILE_VALUES = (
    *HOSTILE_NUMBERS,
    *(-1, -(2**63), 2**64, 10**100, 0.5, 1e308, True, False, None, "", "16", "\x00", "\x1b[2J"),
    *("x" * 300, [], [1], {}, {"a": 1}, {"channels": 0}),
)


@dataclass(frozen=True)
class Original:
    """A good file: its bytes, parts and codes [bands, frames]."""

    name: str
    data: bytes
    raw: RawFile
    codes: list[list[int]]


@dataclass(frozen=True)
class Mutant:
    """A file to read.

    Attributes:
        kind: how it was made.
        data: the file.
        original: the file it was made from; salvage may return whole blocks of this one only.
        claim: the parts whose checksums fit the lies, None if no checksum was made to fit.
    """

    kind: str
    data: bytes
    original: Original
    claim: RawFile | None = None


def make_original(
    name: str, bands: int, codebook_size: int, sizes: Sequence[int], rng: random.Random
) -> Original:
    """Return a good file with random codes and a header of its own."""
    frames = sum(sizes)
    codes = [[rng.randrange(codebook_size) for _ in range(frames)] for _ in range(bands)]
    fields: dict[str, object] = {
        "bands": bands,
        "codebook_size": codebook_size,
        "sample_rate": 44100,
        "samples_per_frame": 4096,
        "num_samples": None if name.endswith("open") else frames * 4096,
        "model_id": name,
    }
    raw = raw_file(fields, codes, sizes)
    return Original(name, raw.to_bytes(), raw, codes)


def originals(seed: int) -> list[Original]:
    """Return the files that everything is made from."""
    rng = random.Random(f"originals {seed}")
    return [
        make_original("none", 16, 4096, [], rng),
        make_original("one", 1, 2, [1], rng),
        make_original("small", 3, 60, [2, 1, 3], rng),
        make_original("open", 2, 3, [5, 5], rng),
        make_original("wide", 200, 16, [1, 2], rng),
        make_original("large codebook", 2, 2**31 - 1, [2, 2], rng),
        make_original("typical", 16, 4096, [32, 32, 32, 9], rng),
    ]


def every_small_change(files: Sequence[Original], values: int) -> Iterator[Mutant]:
    """Yield every truncation and, for each byte, `values` other values (255: all)."""
    for file in files:
        for length in range(len(file.data)):
            yield Mutant("every truncation", file.data[:length], file)
        for place in range(len(file.data)):
            for step in range(1, values + 1):
                change = 1 << step - 1 if values <= 8 else step
                data = bytearray(file.data)
                data[place] ^= change
                yield Mutant("every byte changed", bytes(data), file)


def random_mutants(files: Sequence[Original], rng: random.Random) -> Iterator[Mutant]:
    """Yield mutants without end, the kinds in turn."""
    known = {file.data: file for file in files}  # a splice may happen to be another good file
    while True:
        for kind, make in (*_BLIND.items(), *_LIES.items()):
            file = rng.choice(files)
            made = make(file, rng, files)
            if isinstance(made, RawFile):
                yield Mutant(kind, made.to_bytes(), file, made)
            else:
                yield Mutant(kind, made, known.get(made, file))


def lie(raw: RawFile, rng: random.Random) -> RawFile:
    """Tell one lie more in a file; the checksums fit afterwards."""
    tell = rng.choice(list(_LIES.values()))
    try:
        made = tell(Original("", b"", raw, []), rng, ())
    except (ValueError, AttributeError, TypeError):  # an earlier lie left no header to change
        return raw
    assert isinstance(made, RawFile)
    return made


def claimed_codes(claim: RawFile) -> list[list[int]] | None:
    """Return the codes [bands, frames] that a file with fitting checksums holds; None if none."""
    try:
        fields = json.loads(claim.header)
        return decode_codes(claim, fields["bands"], fields["codebook_size"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _some_bytes(file: Original, rng: random.Random, files: Sequence[Original]) -> bytes:
    data = bytearray(file.data)
    for _ in range(rng.choice((1, 2, 3, 8, 40))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def _number(file: Original, rng: random.Random, files: Sequence[Original]) -> bytes:
    size = rng.choice((2, 4, 8))
    data = bytearray(file.data)
    place = rng.randrange(len(data) - size)
    data[place : place + size] = (rng.choice(HOSTILE_NUMBERS) % 2 ** (8 * size)).to_bytes(
        size, "little"
    )
    return bytes(data)


def _extension(file: Original, rng: random.Random, files: Sequence[Original]) -> bytes:
    more = (b"\0", END_MARK, rng.randbytes(rng.randrange(1, 60)), file.data[-100:], file.data)
    return file.data + rng.choice(more)


def _middle(file: Original, rng: random.Random, files: Sequence[Original]) -> bytes:
    start, stop = sorted(rng.sample(range(len(file.data) + 1), 2))
    piece = file.data[start:stop]
    return file.data[:start] + piece * rng.choice((0, 2, 3)) + file.data[stop:]


def _blocks(file: Original, rng: random.Random, files: Sequence[Original]) -> bytes:
    """Swap, repeat or drop blocks, leaving everything else."""
    blocks = [block.to_bytes(file.raw.seed) for block in file.raw.blocks]
    start = file.raw.start()
    end = file.data[len(start) + sum(map(len, blocks)) :]
    some = [rng.choice(blocks or [b""]) for _ in range(rng.randrange(len(blocks) + 2))]
    return start + b"".join(some) + end


def _splice(file: Original, rng: random.Random, files: Sequence[Original]) -> bytes:
    other = rng.choice(files).data
    return file.data[: rng.randrange(len(file.data))] + other[rng.randrange(len(other)) :]


def _noise(file: Original, rng: random.Random, files: Sequence[Original]) -> bytes:
    return rng.choice((b"", file.data[:8], file.data[:20])) + rng.randbytes(rng.randrange(200))


def _lie_header_value(file: Original, rng: random.Random, files: Sequence[Original]) -> RawFile:
    fields = json.loads(file.raw.header)
    for _ in range(rng.choice((1, 1, 2, 4))):
        names = (*fields, "channels", "extra", "encode_mode", "fingerprint", "unknown", "version")
        fields[rng.choice(names)] = rng.choice(HOSTILE_VALUES)
    return replace(file.raw, header=header_bytes(fields))


def _lie_header_text(file: Original, rng: random.Random, files: Sequence[Original]) -> RawFile:
    text = bytearray(file.raw.header)
    for _ in range(rng.choice((1, 2, 5))):
        start = rng.randrange(len(text) + 1)
        piece = rng.choice(_JSON_PIECES)
        text[start : start + rng.choice((0, 1, len(piece)))] = piece
    return replace(file.raw, header=bytes(text))


_JSON_PIECES = (
    *(b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"\\u0000", b"\\ud800", b"\x00", b"\xff"),
    *(b"NaN", b"-Infinity", b"1e999", b"-0", b"0x10", b"null", b"true", b"9" * 400, b"[" * 3000),
    *(b'"bands":1,', b',"extra":{}', b"\xed\xa0\x80", b"\xf0\x9f\x8e\xb5", b" ", b"\n", b"\r"),
)


def _lie_prefix(file: Original, rng: random.Random, files: Sequence[Original]) -> RawFile:
    version = rng.choice(((1, rng.randrange(65536)), (rng.randrange(65536), 0), (1, 0)))
    size = rng.choice((None, rng.choice(HOSTILE_NUMBERS) % 2**32))
    return replace(file.raw, version=version, header_size=size)


def _lie_block(file: Original, rng: random.Random, files: Sequence[Original]) -> RawFile:
    """Change a block; the footer still fits the blocks as they now are."""
    blocks = list(file.raw.blocks)
    if not blocks:
        blocks.append(RawBlock(first_frame=0, frames=1, payload=rng.randbytes(8)))
    index = rng.randrange(len(blocks))
    number = rng.choice(HOSTILE_NUMBERS)
    blocks[index] = rng.choice(
        (
            replace(blocks[index], first_frame=number % 2**64),
            replace(blocks[index], frames=number % 2**32),
            replace(blocks[index], size=number % 2**32),
            replace(blocks[index], payload=rng.randbytes(len(blocks[index].payload))),
            replace(blocks[index], payload=rng.randbytes(rng.randrange(40))),
            replace(blocks[index], mark=rng.choice((b"FOOT", b"\0\0\0\0", b"blck"))),
        )
    )
    return replace(file.raw, blocks=tuple(blocks))


def _lie_order(file: Original, rng: random.Random, files: Sequence[Original]) -> RawFile:
    """Swap, repeat or drop blocks; half the time their frame numbers are made to follow."""
    blocks = [rng.choice(file.raw.blocks or (_EMPTY,)) for _ in range(rng.randrange(5))]
    if rng.random() < 0.5:
        first, moved = 0, []
        for block in blocks:
            moved.append(replace(block, first_frame=first))
            first += block.frames
        blocks = moved
    return replace(file.raw, blocks=tuple(blocks))


_EMPTY = RawBlock(first_frame=0, frames=0, payload=b"")


def _lie_footer(file: Original, rng: random.Random, files: Sequence[Original]) -> RawFile:
    number = rng.choice(HOSTILE_NUMBERS)
    footer = rng.choice(
        (
            RawFooter(count=number % 2**32),
            RawFooter(num_frames=number % 2**64),
            RawFooter(size=number % 2**32),
            RawFooter(sha256=rng.randbytes(32)),
            RawFooter(mark=rng.randbytes(4)),
        )
    )
    return replace(file.raw, footer=footer)


def _lie_table(file: Original, rng: random.Random, files: Sequence[Original]) -> RawFile:
    entries = list(file.raw.true_entries()) or [
        RawEntry(offset=0, first_frame=0, frames=0, checksum=0)
    ]
    number = rng.choice(HOSTILE_NUMBERS)
    index = rng.randrange(len(entries))
    entries[index] = rng.choice(
        (
            replace(entries[index], offset=number % 2**64),
            replace(entries[index], first_frame=number % 2**64),
            replace(entries[index], frames=number % 2**32),
            replace(entries[index], checksum=number % 2**32),
        )
    )
    if rng.random() < 0.3:
        rng.shuffle(entries)
    if rng.random() < 0.3:
        entries *= rng.choice((0, 2, 50))
    return replace(file.raw, footer=RawFooter(entries=tuple(entries)))


Maker = Callable[[Original, random.Random, Sequence[Original]], bytes | RawFile]
_BLIND: dict[str, Maker] = {
    "some bytes changed": _some_bytes,
    "a number replaced": _number,
    "bytes added at the end": _extension,
    "a stretch repeated or gone": _middle,
    "blocks in another order": _blocks,
    "two files spliced": _splice,
    "noise": _noise,
}
_LIES: dict[str, Maker] = {
    "lie: header values": _lie_header_value,
    "lie: header text": _lie_header_text,
    "lie: prefix": _lie_prefix,
    "lie: a block": _lie_block,
    "lie: order of blocks": _lie_order,
    "lie: footer": _lie_footer,
    "lie: block table": _lie_table,
}
