"""One damaged token file for each check of a reader (docs/token-file.md), with the error expected.

Apart from the checksum tests, every checksum fits, so that only the check that is meant can fail.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from research.reliability.raw_token_file import (
    Header,
    RawBlock,
    RawEntry,
    RawFile,
    RawFooter,
    header_bytes,
)

BASE_FRAMES = 9  # of the file that the damage is done to: blocks of 3, 4 and 2 frames


@dataclass(frozen=True, kw_only=True)
class BadCase:
    """A file that every reader must refuse.

    Attributes:
        name: of the file, without suffix.
        what: the damage.
        data: the file.
        error: the class of :mod:`bandtok.errors`.
        salvaged_frames: what `verify --salvage` keeps; None if it refuses the file, too.
    """

    name: str
    what: str
    data: bytes
    error: str
    salvaged_frames: int | None


def bad_cases(base: RawFile) -> Iterator[BadCase]:
    """Yield every damaged file, made from `base`: 4 bands, codebook of 60, blocks of 3, 4, 2."""
    yield from _prefix_cases(base)
    yield from _header_text_cases(base)
    yield from _header_field_cases(base)
    yield from _length_cases(base)
    yield from _footer_cases(base)
    yield from _table_cases(base)
    yield from _block_cases(base)


def _case(
    name: str, what: str, made: RawFile | bytes, error: str, salvaged: int | None = None
) -> BadCase:
    data = made if isinstance(made, bytes) else made.to_bytes()
    return BadCase(name=name, what=what, data=data, error=error, salvaged_frames=salvaged)


def _prefix_cases(base: RawFile) -> Iterator[BadCase]:
    whole = base.to_bytes()
    yield _case("empty_file", "no bytes at all", b"", "NotATokenFile")
    yield _case("other_magic", "a RIFF file", b"RIFF\x24\0\0\0WAVEfmt " * 9, "NotATokenFile")
    text = whole.replace(b"\r\n", b"\n")
    yield _case("text_mode_copy", "CR LF became LF", text, "NotATokenFile")
    yield _case("cut_in_magic", "only five bytes of the magic", whole[:5], "Truncated")
    yield _case("cut_in_prefix", "ends inside the prefix", whole[:14], "Truncated")
    for major in (0, 2, 65535):
        future = replace(base, version=(major, 0))
        yield _case(f"major_{major}", f"major version {major}", future, "UnsupportedVersion")
    for size in (65537, 2**32 - 1):
        huge = replace(base, header_size=size)
        yield _case(f"header_size_{size}", f"header of {size} bytes", huge, "TokenFileError")
    beyond = replace(base, header_size=60000)
    yield _case("header_beyond_file", "header longer than the file", beyond, "Truncated")
    yield _case("cut_in_header", "ends inside the header", whole[:50], "Truncated")
    wrong = replace(base, header_checksum=0)
    yield _case("header_checksum", "wrong checksum of the header", wrong, "ChecksumMismatch")
    minor = bytearray(whole)
    minor[10] = 1
    changed = "minor version changed without its checksum"
    yield _case("minor_changed", changed, bytes(minor), "ChecksumMismatch")


def _header_text_cases(base: RawFile) -> Iterator[BadCase]:
    texts = {
        "header_empty": (b"", "header of no bytes"),
        "header_not_utf8": (base.header.replace(b"44100", b'"\xff\xfe"'), "not UTF-8"),
        "header_not_json": (base.header[:-1], "JSON without its end"),
        "header_two_values": (base.header + b"{}", "more after the object"),
        "header_list": (b"[1,2,3]", "a list, not an object"),
        "header_nested": (b"[" * 30000, "30,000 nested lists"),
        "header_twice": (b'{"bands":4,' + base.header[1:], "a key twice"),
        "header_twice_inside": (_and(base, b'"extra":{"a":1,"a":2}'), "a key twice inside `extra`"),
        "header_nan": (_and(base, b'"extra":{"a":NaN}'), "NaN"),
        "header_infinity": (_and(base, b'"extra":{"a":-Infinity}'), "infinity"),
        "header_long_number": (_and(base, b'"extra":' + b"9" * 9000), "a number of 9,000 digits"),
    }
    for name, (text, what) in texts.items():
        yield _case(name, what, replace(base, header=text), "TokenFileError")


def _and(base: RawFile, member: bytes) -> bytes:
    return base.header[:-1] + b"," + member + b"}"


def _header_field_cases(base: RawFile) -> Iterator[BadCase]:
    fields: Header = json.loads(base.header)
    for key in fields:
        rest = {name: value for name, value in fields.items() if name != key}
        yield _field_case(base, f"without_{key}", f"`{key}` is missing", rest)
    most = {"bands": 65535, "codebook_size": 2**31 - 1, "sample_rate": 2**31 - 1}
    most |= {"samples_per_frame": 2**31 - 1, "channels": 65535}
    for key, limit in most.items():
        for label, value in (("zero", 0), ("negative", -1), ("too_large", limit + 1)):
            yield _field_case(base, f"{key}_{label}", f"`{key}` = {value}", {**fields, key: value})
    wrong: list[tuple[str, str, object]] = [
        ("bands", "fraction", 4.0),
        ("bands", "boolean", True),
        ("bands", "huge", 2**63),
        ("codebook_size", "text", "60"),
        ("sample_rate", "null", None),
        ("num_samples", "negative", -1),
        ("num_samples", "fraction", 36864.0),
        ("num_samples", "huge", 2**63),
        ("model_id", "number", 7),
        ("fingerprint", "list", []),
        ("tool_version", "null", None),
        ("encode_mode", "text", "cpu"),
        ("extra", "list", []),
    ]
    for key, label, value in wrong:
        changed = {**fields, key: value}
        yield _field_case(base, f"{key}_{label}", f"`{key}` = {json.dumps(value)}", changed)
    for label, samples in (("too_few", 8 * 4096), ("too_many", 9 * 4096 + 1)):
        made = replace(base, header=header_bytes({**fields, "num_samples": samples}))
        what = f"{samples} samples do not need {BASE_FRAMES} frames"
        yield _case(f"num_samples_{label}", what, made, "TokenFileError", BASE_FRAMES)


def _field_case(base: RawFile, name: str, what: str, fields: Header) -> BadCase:
    return _case(name, what, replace(base, header=header_bytes(fields)), "TokenFileError")


def _length_cases(base: RawFile) -> Iterator[BadCase]:
    whole = base.to_bytes()
    first, second, third = (entry.offset for entry in base.true_entries())
    footer = whole.index(b"FOOT")
    for name, length, salvaged in (
        ("cut_after_header", first, 0),
        ("cut_in_first_block", first + 21, 0),
        ("cut_after_second_block", third, 7),
        ("cut_in_third_block", third + 10, 7),
        ("cut_before_footer", footer, BASE_FRAMES),
        ("cut_in_footer", footer + 30, BASE_FRAMES),
        ("cut_before_end_mark", len(whole) - 8, BASE_FRAMES),
        ("cut_last_byte", len(whole) - 1, BASE_FRAMES),
    ):
        what = f"only the first {length} of {len(whole)} bytes"
        yield _case(name, what, whole[:length], "Truncated", salvaged)
    yield _case("byte_added", "one byte more", whole + b"\0", "Truncated", BASE_FRAMES)
    twice = whole + whole
    yield _case("file_twice", "the file twice, one after the other", twice, "TokenFileError", 9)
    gone = whole[:second] + whole[third:]
    yield _case("block_gone", "the second block is not there", gone, "TokenFileError", 3)
    swapped = whole[:first] + whole[second:third] + whole[first:second] + whole[third:]
    yield _case("blocks_swapped", "first and second block swapped", swapped, "ChecksumMismatch", 0)


def _footer_cases(base: RawFile) -> Iterator[BadCase]:
    size = 56 + 24 * len(base.blocks)
    lies: list[tuple[str, str, RawFooter, str]] = [
        ("size_zero", "footer of 0 bytes", RawFooter(size=0), "ChecksumMismatch"),
        ("size_55", "footer shorter than any", RawFooter(size=55), "ChecksumMismatch"),
        ("size_less", "one line less", RawFooter(size=size - 24), "ChecksumMismatch"),
        ("size_most", "footer of 4 GiB", RawFooter(size=2**32 - 1), "ChecksumMismatch"),
        ("checksum", "wrong checksum", RawFooter(checksum=1), "ChecksumMismatch"),
        ("mark", "other mark", RawFooter(mark=b"FEET"), "TokenFileError"),
        ("count_less", "2 blocks said, 3 listed", RawFooter(count=2), "TokenFileError"),
        ("count_most", "2^32 - 1 blocks said", RawFooter(count=2**32 - 1), "TokenFileError"),
        ("frames_more", "10 frames said", RawFooter(num_frames=10), "TokenFileError"),
        ("frames_most", "2^64 - 1 frames", RawFooter(num_frames=2**64 - 1), "TokenFileError"),
        ("sha256", "wrong SHA-256", RawFooter(sha256=b"\x5a" * 32), "ChecksumMismatch"),
    ]
    for name, what, footer, error in lies:
        made = replace(base, footer=footer)
        yield _case(f"footer_{name}", what, made, error, BASE_FRAMES)
    mark = replace(base, end_mark=b"\x1aBTKEND\r")
    yield _case("end_mark", "other end mark", mark, "Truncated", BASE_FRAMES)


def _table_cases(base: RawFile) -> Iterator[BadCase]:
    first, second, third = base.true_entries()
    lies: list[tuple[str, str, tuple[RawEntry, ...]]] = [
        ("empty", "no block listed", ()),
        ("missing_line", "the last block is not listed", (first, second)),
        ("extra_line", "the last block is listed twice", (first, second, third, third)),
        ("order", "second and third line swapped", (first, third, second)),
        (
            "offset",
            "offset one too high",
            (first, replace(second, offset=second.offset + 1), third),
        ),
        ("offset_huge", "offset of 2^64 - 1", (replace(first, offset=2**64 - 1), second, third)),
        ("first_frame", "gap in frames", (first, replace(second, first_frame=4), third)),
        ("no_frames", "a block of 0 frames", (first, replace(second, frames=0), third)),
        ("frames_huge", "a block of 2^32 - 1 frames", (replace(first, frames=2**32 - 1),)),
    ]
    for name, what, entries in lies:
        made = replace(base, footer=RawFooter(entries=entries))
        yield _case(f"table_{name}", what, made, "TokenFileError", BASE_FRAMES)
    wrong = replace(second, checksum=second.checksum ^ 1)
    made = replace(base, footer=RawFooter(entries=(first, wrong, third)))
    what = "the table's checksum is not the block's"
    yield _case("table_checksum", what, made, "ChecksumMismatch", BASE_FRAMES)


def _block_cases(base: RawFile) -> Iterator[BadCase]:
    block = base.blocks[1]
    lies: list[tuple[str, str, RawBlock, str]] = [
        ("mark", "other mark", replace(block, mark=b"BLOC"), "ChecksumMismatch"),
        ("first_frame", "says it begins at frame 4", replace(block, first_frame=4), "*"),
        ("frames", "says 5 frames", replace(block, frames=5), "*"),
        ("size", "says one byte more", replace(block, size=len(block.payload) + 1), "*"),
        ("size_huge", "says 4 GiB", replace(block, size=2**32 - 1), "ChecksumMismatch"),
        ("checksum", "wrong checksum", replace(block, checksum=5), "ChecksumMismatch"),
        ("token", "token 60 of 0..59", replace(block, payload=_highest(block)), "TokenOutOfRange"),
    ]
    truth = base.true_entries()
    for name, what, changed, error in lies:
        made = replace(base, blocks=(base.blocks[0], changed, base.blocks[2]))
        listed = made.true_entries()[1].checksum
        entries = (truth[0], replace(truth[1], checksum=listed), truth[2])
        made = replace(made, footer=RawFooter(entries=entries, num_frames=BASE_FRAMES))
        error = "ChecksumMismatch" if error == "*" else error
        yield _case(f"block_{name}", what, made, error, 3)
    payload = bytearray(block.payload)
    payload[0] ^= 0x10
    same = block.to_bytes(base.seed)
    data = base.to_bytes().replace(same, same[:20] + bytes(payload) + same[-4:])
    yield _case("block_bit", "one bit of the payload", data, "ChecksumMismatch", 3)
    other = replace(base, header=base.header.replace(b"44100", b"48000"))
    data = base.to_bytes().replace(same, block.to_bytes(other.seed))
    what = "the second block comes from a file with another header"
    yield _case("block_of_another_file", what, data, "ChecksumMismatch", 3)
    fields = {**json.loads(base.header), "bands": 1}
    stray = RawBlock(first_frame=0, frames=3, payload=bytes([1, 2, 3]))
    made = RawFile(header=header_bytes(fields), blocks=(stray,))
    yield _case("stray_bits", "bits set after the last token", made, "TokenFileError", 0)


def _highest(block: RawBlock) -> bytes:
    """Return the payload with its first token (6 bits) set to 60."""
    return bytes([60 << 2 | block.payload[0] & 3]) + block.payload[1:]
