"""The frames of an MPEG audio stream (MP3), counted: the only reliable way to its length.

A Xing, Info or VBRI header holds a count, taken where it fits the size of the file; but many
files have none, and joined files have that of their first part. Layouts: ISO 11172-3 and 13818-3.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass

_BIT_RATES = {  # kbit/s of indices 1 to 14, by (MPEG 1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_SAME_STREAM = 0xFFFE0C00  # the bits of sync, version, layer and sample rate
_TAG_BYTES = 4096  # as long as tags behind the last frame are
_TAG_BIT_RATE = 9  # an index at which a layer-3 frame has room for a Xing header


@dataclass(frozen=True, kw_only=True)
class MpegStream:
    """What was found.

    Attributes:
        start: byte at which the first frame with sound begins.
        frames: whole frames with sound.
        samples_per_frame: of one channel.
        declared_frames: as its own header says; None without one.
        xing_frame: a frame that says how many there are, to be put in front of them; empty where
            that is not known of (layers 1 and 2).
    """

    start: int
    frames: int
    samples_per_frame: int
    declared_frames: int | None
    xing_frame: bytes


def count_frames(data: mmap.mmap | bytes) -> MpegStream | None:
    """Count the frames of a file; None if it is no such stream, or in the "free" format."""
    first = _next_frame(data, 0, None)
    if first < 0:
        return None
    word = _word(data, first)
    length = _frame_length(word)
    declared, declared_bytes = _declared(data[first : first + length], word)
    tagged = declared is not None
    fits = declared_bytes and 0 <= len(data) - first - declared_bytes <= _TAG_BYTES
    frames = declared if fits and declared else _walked(data, first) - tagged
    return MpegStream(
        start=first + (length if tagged else 0),
        frames=frames,
        samples_per_frame=_samples(word),
        declared_frames=declared,
        xing_frame=_xing_frame(word, frames),
    )


def _walked(data: mmap.mmap | bytes, place: int) -> int:
    """Count whole frames from the one at `place` on."""
    lengths: dict[int, int] = {}
    kind, frames = _word(data, place) & _SAME_STREAM, 0
    while 0 <= place <= len(data) - 4:
        word = _word(data, place)
        length = lengths.get(word)
        if length is None:
            length = lengths[word] = _frame_length(word) if word & _SAME_STREAM == kind else 0
        if not length:
            place = _next_frame(data, place, kind)
        elif place + length <= len(data):
            place, frames = place + length, frames + 1
        else:
            break
    return frames


def _word(data: mmap.mmap | bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "big")


def _fields(word: int) -> tuple[int, int]:
    """Return version (3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5) and layer of a frame's first 32 bits."""
    return word >> 19 & 3, 4 - (word >> 17 & 3)


def _samples(word: int) -> int:
    version, layer = _fields(word)
    return 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152


def _frame_length(word: int) -> int:
    """Return the bytes of a frame, or 0 if these 32 bits are not the beginning of one."""
    version, layer = _fields(word)
    rate, bits = word >> 10 & 3, word >> 12 & 15
    if word >> 21 != 0x7FF or version == 1 or layer == 4 or rate == 3 or not 0 < bits < 15:
        return 0
    bit_rate = 1000 * _BIT_RATES[version == 3, layer][bits - 1]
    padding = word >> 9 & 1
    sample_rate = _SAMPLE_RATES[version][rate]
    if layer == 1:
        return (12 * bit_rate // sample_rate + padding) * 4
    return _samples(word) // 8 * bit_rate // sample_rate + padding


def _next_frame(data: mmap.mmap | bytes, place: int, kind: int | None) -> int:
    """Return where the next frame begins that another one follows, behind tags; -1 if none does."""
    if data[place : place + 3] == b"ID3":
        size = data[place + 6 : place + 10]
        place += 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(size))
    else:
        place += kind is not None
    while (place := data.find(b"\xff", place)) >= 0:
        word = _word(data, place)
        length = _frame_length(word)
        follower = _word(data, place + length)
        known = kind in (None, word & _SAME_STREAM)
        if length and known and _frame_length(follower) and (word ^ follower) & _SAME_STREAM == 0:
            return place
        place += 1
    return -1


def _side_bytes(word: int) -> int:
    """Return where in a layer-3 frame a Xing header lies: behind header and side information."""
    mono = word >> 6 & 3 == 3
    if _fields(word)[0] == 3:
        return 4 + (17 if mono else 32)
    return 4 + (9 if mono else 17)


def _declared(frame: bytes, word: int) -> tuple[int | None, int]:
    """Return how many frames and bytes a Xing or VBRI header says there are; None, 0 without."""
    place = _side_bytes(word)
    if frame[place : place + 4] in (b"Xing", b"Info") and frame[place + 7] & 1:
        sized = frame[place + 7] & 2
        return _word(frame, place + 8), _word(frame, place + 12) if sized else 0
    if frame[36:40] == b"VBRI":
        return _word(frame, 50), _word(frame, 46)
    return None, 0


def _xing_frame(word: int, frames: int) -> bytes:
    if _fields(word)[1] != 3:
        return b""
    word = word & ~0x0000F200 | _TAG_BIT_RATE << 12 | 0x00010000  # no padding, no checksum
    tag = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return (word.to_bytes(4, "big") + bytes(_side_bytes(word) - 4) + tag).ljust(
        _frame_length(word), b"\0"
    )
