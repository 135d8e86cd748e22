"""Files of which libsndfile sees only a part: all of them is read, or they are refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bandtok.errors import AudioError
from bandtok.signal.audio import load_audio, probe_audio
from bandtok.signal.mpeg_frames import count_frames

RATE = 44_100


def written(path: Path, seconds: float = 2.0, **options: str | float) -> Path:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, round(seconds * RATE))
    soundfile.write(path, noise, RATE, **options)
    return path


def patched(path: Path, place: int, value: bytes) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[:place] + value + content[place + len(value) :])
    return path


def quiet_then_loud(path: Path) -> bytes:
    """Write an MP3 of variable bit rate: 2 s of noise, 6 s of a soft tone."""
    time = np.arange(6 * RATE) / RATE
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * RATE)
    sound = np.concatenate((noise, 0.05 * np.sin(2 * np.pi * 440 * time)))
    soundfile.write(path, sound, RATE, bitrate_mode="VARIABLE")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("wav", {}),
        ("wav", {"subtype": "MS_ADPCM"}),
        ("wav", {"format": "RF64"}),
        ("w64", {}),
        ("aiff", {}),
        ("au", {}),
        ("caf", {}),
        ("flac", {}),
        ("ogg", {}),
        ("mp3", {}),
    ],
)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_file_is_refused(
    tmp_path: Path, suffix: str, options: dict[str, str], share: float
) -> None:
    path = written(tmp_path / f"a.{suffix}", **options)
    whole = load_audio(path).waveform.shape[1]
    assert whole == pytest.approx(2 * RATE, abs=4096)
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(AudioError, match=rf"a\.{suffix}"):
        load_audio(path)


def test_a_wav_whose_sizes_were_never_written_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav")
    expected = load_audio(path).waveform
    patched(patched(path, 4, bytes(4)), 40, bytes(4))
    assert probe_audio(path).samples == expected.shape[1]
    np.testing.assert_array_equal(load_audio(path).waveform, expected)


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f"])
def test_sizes_written_to_a_pipe_are_no_promise(tmp_path: Path, size: bytes) -> None:
    path = written(tmp_path / "a.wav")
    expected = load_audio(path).waveform
    np.testing.assert_array_equal(load_audio(patched(path, 40, size)).waveform, expected)


def test_an_au_file_of_size_0_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.au")
    assert load_audio(patched(path, 8, bytes(4))).waveform.shape == (1, 2 * RATE)


def test_an_empty_wav_stays_empty_whatever_follows(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", seconds=0)
    content = path.read_bytes()
    path.write_bytes(content + b"LIST" + (3000).to_bytes(4, "little") + bytes(3000))
    assert load_audio(path).waveform.shape == (1, 0)


def test_another_container_that_says_it_is_empty_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", format="RF64")
    place = path.read_bytes().find(b"ds64") + 8
    with pytest.raises(AudioError, match="says it is empty"):
        load_audio(patched(path, place, bytes(24)))


def test_a_wav_beyond_4_gib_is_seen_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav")
    size = 2**32 + 44 + 1_000_000
    os.truncate(path, size)  # a hole in the file: takes no space
    patched_size = (size - 44) % 2**32
    with path.open("r+b") as file:
        file.seek(40)
        file.write(patched_size.to_bytes(4, "little"))
    assert probe_audio(path).samples == (size - 44) // 2


def test_a_flac_of_unknown_length_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac")
    expected = load_audio(path).waveform
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert probe_audio(path).samples == expected.shape[1]
    np.testing.assert_array_equal(load_audio(path).waveform, expected)


def test_an_mp3_without_a_header_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    content = quiet_then_loud(path)
    whole = load_audio(path).waveform
    stream = count_frames(content)
    assert stream is not None
    assert stream.frames == stream.declared_frames
    path.write_bytes(content[stream.start :])
    assert load_audio(path).waveform.shape[1] == pytest.approx(whole.shape[1], abs=2 * 1152)
    # A tag in front, and one behind each of two joined files, change nothing.
    tag = b"ID3\x04\0\0\0\0\x02\x00" + bytes(256)
    joined = tag + content + b"TAG" + bytes(125) + tag + content
    path.write_bytes(joined)
    assert load_audio(path).waveform.shape[1] == pytest.approx(2 * whole.shape[1], abs=5 * 1152)


def test_joined_ogg_files_are_refused(tmp_path: Path) -> None:
    first, second = (written(tmp_path / f"{name}.ogg") for name in "ab")
    content = second.read_bytes().replace(first.read_bytes()[14:18], b"abcd")
    first.write_bytes(first.read_bytes() + content)
    if content[14:18] == b"abcd":
        with pytest.raises(AudioError, match="several pieces"):
            load_audio(first)


@pytest.mark.parametrize(
    "mpeg", [b"\xff\xfb\x90", b"\xff\xf3\x80", b"\xff\xe3\x80", b"\xff\xfd\x90"]
)
def test_frames_of_every_version_are_counted(mpeg: bytes) -> None:
    lengths = {
        b"\xff\xfb\x90": 417,
        b"\xff\xf3\x80": 208,
        b"\xff\xe3\x80": 417,
        b"\xff\xfd\x90": 522,
    }
    frame = (mpeg + b"\x00").ljust(lengths[mpeg], b"\0")
    stream = count_frames(b"junk" + 7 * frame + frame[:50])
    assert stream is not None
    assert (stream.start, stream.frames, stream.declared_frames) == (4, 7, None)
    assert count_frames(b"no frames here" * 100) is None
