"""An audio file's header compared with the file: cut-off and wrongly declared sizes.

libsndfile takes the end of what it sees for the end of the piece: of a file that was cut off, of an
MP3 without a header (it guesses the length from the first frame), of a WAV whose recorder died
before it wrote the sizes, of joined files. Here such a file is either made readable, by putting a
true header in front of its samples, or refused.
"""

from __future__ import annotations

import io
import mmap
import os
import re
import struct

import soundfile

from bandtok.errors import AudioError
from bandtok.signal.mpeg_frames import MpegStream, count_frames

_HEAD_BYTES = 1 << 16
_LEAST_BYTES = 4096  # that much may follow the samples of an empty file
_UNKNOWN_SIZE = b"\xff\xff\xff\xff"
_UNKNOWN_FRAMES = 2**63 - 1
_BLOCK_FRAMES = 1 << 16
# libsndfile's log of a file with parts that are shorter than its header says
_SIZES = re.compile(r"^\s*(data|SSND|Data Size|Riff size|riff)\s*: (\d+) \(should be (\d+)\)", re.M)
_CUT_OGG = "Last page lacks an end-of-stream bit"
_ADVICE = "fetch it again, or convert what is there: ffmpeg -i IN OUT.wav"


class Spliced(io.RawIOBase):
    """A file of which the first bytes are replaced by others.

    Args:
        path: the file.
        head: what it begins with.
        start: where in the file it continues.
    """

    def __init__(self, path: bytes, head: bytes, start: int) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by close)
        self._head, self._start, self._place = head, start, 0
        self._size = max(os.fstat(self._file.fileno()).st_size - start, 0) + len(head)

    def tell(self) -> int:
        """Return the place in the whole."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the whole."""
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as one of both parts reaches; return how many bytes that is."""
        part = self._head[self._place : self._place + len(buffer)]
        if part:
            buffer[: len(part)] = part
            done = len(part)
        else:
            self._file.seek(self._place - len(self._head) + self._start)
            done = self._file.readinto(buffer)
        self._place += done
        return done

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()


def with_true_header(path: bytes, file: soundfile.SoundFile) -> Spliced | None:
    """Return what to read instead of a file of which libsndfile does not see all.

    Args:
        path: of the file.
        file: the same, open, as libsndfile sees it.

    Returns:
        None if it sees all.

    Raises:
        AudioError: if the file was cut off, or holds more than can be read.
    """
    if file.format == "MP3":
        return _whole_mp3(path, file)
    with open(path, "rb") as raw:
        head = raw.read(_HEAD_BYTES)
    size = os.path.getsize(path)
    if file.format == "FLAC" and file.frames == _UNKNOWN_FRAMES:
        return _counted_flac(path, head)
    if file.format == "OGG":
        _check_ogg(path, head, file.extra_info)
    if head[:4] == b".snd" and not file.frames and size > _LEAST_BYTES:
        return Spliced(path, head[:8] + _UNKNOWN_SIZE, 12)
    place = _unwritten_size(head, size)
    if place:
        return Spliced(path, _rf64_head(head, place, size), place + 4)
    if not file.frames and size > len(head[:_LEAST_BYTES]) == _LEAST_BYTES:
        raise AudioError(f"its header says it is empty, but it has {size} bytes; {_ADVICE}")
    for _, said, found in _SIZES.findall(file.extra_info):
        if int(said) > int(found) and not _is_placeholder(int(said)):
            raise AudioError(
                f"it was cut off: its header says {said} bytes, not {found}; {_ADVICE}"
            )
    return None


def cut_off(read: int, samples: int) -> AudioError:
    """Return the error for a file that ended early."""
    return AudioError(f"it was cut off: {read} of {samples} samples are there; {_ADVICE}")


def _unwritten_size(head: bytes, size: int) -> int:
    """Return where a WAV file says wrongly how many bytes of samples follow, 0 if nowhere."""
    place = head.find(b"data", 12) + 4
    if head[:4] != b"RIFF" or place < 16:
        return 0
    said, there = int.from_bytes(head[place : place + 4], "little"), size - place - 4
    dead_recorder = said == 0 and there > _LEAST_BYTES and not head[place + 4 : place + 8].isalpha()
    beyond_4_gib = said < there - 2**32 + _HEAD_BYTES
    return place if dead_recorder or beyond_4_gib else 0


def _rf64_head(head: bytes, place: int, size: int) -> bytes:
    """Return the head of a WAV file, up to its size at `place`, with sizes of 64 bits instead."""
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, size, size - place - 4, 0, 0)
    return b"RF64" + _UNKNOWN_SIZE + b"WAVE" + sizes + head[12:place] + _UNKNOWN_SIZE


def _is_placeholder(size: int) -> bool:
    """Return whether a size is what programs write that do not know it: close to 2 or 4 GiB."""
    return size >= 0xFFFF0000 or 0x7FFF0000 <= size <= 0x80000000


def _whole_mp3(path: bytes, file: soundfile.SoundFile) -> Spliced | None:
    with open(path, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
        stream = count_frames(data)
    if stream is None:
        return None
    samples = stream.frames * stream.samples_per_frame
    expected = _declared_samples(stream, file)
    slack = 2 * stream.samples_per_frame
    if stream.declared_frames is not None and samples < expected - slack:
        raise cut_off(samples, expected)
    if abs(samples - expected) <= slack:
        return None
    if not stream.xing_frame:
        raise AudioError(f"it holds {samples} samples, not {expected} as it seems; {_ADVICE}")
    return Spliced(path, stream.xing_frame, stream.start)


def _declared_samples(stream: MpegStream, file: soundfile.SoundFile) -> int:
    if stream.declared_frames is None:
        result: int = file.frames
        return result
    return stream.declared_frames * stream.samples_per_frame


class _OneWay(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no annotations
    """A file that is read without seeking, which needs a known length."""

    def seekable(self) -> bool:
        """Return False."""
        return False


def _counted_flac(path: bytes, head: bytes) -> Spliced:
    """Put the number of samples into the header of a FLAC file written to a pipe."""
    total = 0
    with _OneWay(path) as file:
        while count := len(file.read(_BLOCK_FRAMES, dtype="int16")):
            total += count
    fields = int.from_bytes(head[18:26], "big") | min(total, 2**36 - 1)
    return Spliced(path, head[:18] + fields.to_bytes(8, "big"), 26)


def _check_ogg(path: bytes, head: bytes, log: str) -> None:
    with open(path, "rb") as raw:
        raw.seek(-min(os.path.getsize(path), 2 * _HEAD_BYTES), os.SEEK_END)
        tail = raw.read()
    if _CUT_OGG in log:
        raise AudioError(f"it was cut off: its last page does not end the stream; {_ADVICE}")
    serials = [page[10:14] for page in head.split(b"OggS")[1:] if page[1] & 2]
    if tail[tail.rfind(b"OggS") :][14:18] not in serials:
        raise AudioError(f"it holds several pieces one after the other; {_ADVICE}")
