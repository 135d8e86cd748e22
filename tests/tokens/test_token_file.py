"""The .btk container: what is written is read, and nothing that was changed is believed."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandtok.errors import (
    ChecksumMismatch,
    NotATokenFile,
    TokenFileError,
    TokenOutOfRange,
    Truncated,
    UnsupportedVersion,
)
from bandtok.tokens.grid import TokenGrid
from bandtok.tokens.token_file import (
    TokenFile,
    read_token_file,
    salvage_token_file,
    write_token_file,
)
from bandtok.tokens.token_format import END_MAGIC, MAGIC, file_bytes
from bandtok.tokens.token_header import MAX_HEADER_BYTES, TokenFileHeader


def make_grid(
    bands: int = 16, frames: int = 5, codebook_size: int = 4096, seed: int = 0
) -> TokenGrid:
    codes = np.random.default_rng(seed).integers(0, codebook_size, (bands, frames), dtype=np.int32)
    return TokenGrid(
        codes=codes,
        codebook_size=codebook_size,
        num_samples=max(0, frames * 4096 - 100),
        model_id="toy",
        fingerprint="abc",
        extra={"title": "Übung №1"},
    )


def same(first: TokenGrid, second: TokenGrid) -> bool:
    names = [name for name in vars(first) if name != "codes"]
    return np.array_equal(first.codes, second.codes) and all(
        getattr(first, name) == getattr(second, name) for name in names
    )


def header_with(text: bytes, rest: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    prefix = struct.pack("<8sHHI", MAGIC, *version, len(text))
    return prefix + struct.pack("<I", zlib.crc32(prefix + text)) + text + rest


def fields(**changes: object) -> dict[str, object]:
    content: dict[str, object] = {
        "codebook_size": 4096,
        "bands": 16,
        "sample_rate": 44100,
        "samples_per_frame": 4096,
        "num_samples": None,
        "channels": 1,
    }
    return {**content, **changes}


@given(
    bands=st.integers(1, 20),
    frames=st.integers(0, 40),
    codebook_size=st.one_of(st.integers(1, 9), st.integers(1, 2**31 - 1)),
    rest=st.integers(0, 4095),
    seed=st.integers(0, 99),
    extra=st.dictionaries(
        st.text(max_size=8).filter(lambda key: key not in ("channels", "encode_mode")),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
        max_size=4,
    ),
)
@settings(max_examples=60, deadline=None)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    bands: int,
    frames: int,
    codebook_size: int,
    rest: int,
    seed: int,
    extra: dict[str, object],
) -> None:
    codes = np.random.default_rng(seed).integers(0, codebook_size, (bands, frames))
    samples = frames * 4096 - rest if frames else 0
    grid = TokenGrid(codes=codes, codebook_size=codebook_size, num_samples=samples, extra=extra)
    path = tmp_path_factory.mktemp("round") / "a.btk"
    write_token_file(path, grid)
    assert same(read_token_file(path), grid)


def test_same_grid_gives_the_same_bytes_and_methods_agree(tmp_path: Path) -> None:
    grid = make_grid(frames=700)
    write_token_file(tmp_path / "a.btk", grid)
    TokenGrid.load(tmp_path / "a.btk").save(tmp_path / "b.btk")
    assert (tmp_path / "a.btk").read_bytes() == (tmp_path / "b.btk").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.btk", "b.btk"]


def test_layout_by_hand(tmp_path: Path) -> None:
    grid = TokenGrid(codes=np.array([[1, 2], [3, 0]]), codebook_size=4, samples_per_frame=8)
    write_token_file(tmp_path / "a.btk", grid)
    data = (tmp_path / "a.btk").read_bytes()
    assert data[:12] == b"\x89BTK\r\n\x1a\n" + b"\x01\x00\x00\x00"
    length, checksum = struct.unpack_from("<II", data, 12)
    text = data[20 : 20 + length]
    assert checksum == zlib.crc32(data[:16] + text)
    header = json.loads(text)
    assert text == json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    assert header["num_samples"] == 16
    assert header["channels"] == 1
    block = data[20 + length :]
    assert struct.unpack_from("<4sQII", block) == (b"BLCK", 0, 2, 1)
    assert block[20] == 0b01_11_10_00  # frame 0: bands 0, 1; frame 1: bands 0, 1
    assert struct.unpack_from("<I", block, 21)[0] == zlib.crc32(data[16:20] + block[:21])
    assert block[25:29] == b"FOOT"
    assert data.endswith(END_MAGIC)


def test_every_changed_byte_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    write_token_file(path, make_grid(bands=3, frames=4))
    whole = path.read_bytes()
    for index in range(len(whole)):
        for change in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[index] ^= change
            path.write_bytes(damaged)
            with pytest.raises(TokenFileError):
                read_token_file(path)


def test_every_truncation_and_extension_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    write_token_file(path, make_grid(bands=3, frames=4))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(NotATokenFile if length == 0 else Truncated):
            read_token_file(path)
    for more in (b"\0", b"more", END_MAGIC, whole, whole[-200:]):
        path.write_bytes(whole + more)
        with pytest.raises(TokenFileError):
            read_token_file(path)


def test_a_swapped_block_of_another_file_is_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "a.btk", tmp_path / "b.btk"
    write_token_file(first, make_grid(seed=1))
    write_token_file(second, make_grid(seed=2))
    one, two = first.read_bytes(), second.read_bytes()
    start, stop = one.index(b"BLCK"), one.index(b"FOOT")
    first.write_bytes(one[:start] + two[start:stop] + one[stop:])
    with pytest.raises(ChecksumMismatch):
        read_token_file(first)
    with TokenFile(first) as file, pytest.raises(ChecksumMismatch):
        file.read_frames(0, 1)


def test_random_access_equals_a_slice_of_the_whole(tmp_path: Path) -> None:
    grid = make_grid(frames=1000)
    write_token_file(tmp_path / "a.btk", grid)
    with TokenFile(tmp_path / "a.btk") as file:
        assert file.num_frames == 1000
        assert file.num_blocks == 4
        for start, stop in [
            (0, 0),
            (0, 1),
            (255, 257),
            (256, 512),
            (999, 1000),
            (3, 998),
            (1000, 1000),
        ]:
            np.testing.assert_array_equal(file.read_frames(start, stop), grid.codes[:, start:stop])
        for start, stop in [(-1, 2), (5, 4), (0, 1001)]:
            with pytest.raises(TokenFileError, match="expected a range inside 0 to 1000"):
                file.read_frames(start, stop)


def test_random_access_needs_only_its_own_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    grid = make_grid(frames=600)
    write_token_file(path, grid)
    data = bytearray(path.read_bytes())
    data[data.index(b"BLCK") + 30] ^= 1
    path.write_bytes(data)
    with TokenFile(path) as file:
        np.testing.assert_array_equal(file.read_frames(300, 310), grid.codes[:, 300:310])
        with pytest.raises(ChecksumMismatch, match="frames 0 to 255 have changed"):
            file.read_frames(250, 310)


def test_salvage_keeps_the_whole_blocks_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    grid = make_grid(frames=600)
    write_token_file(path, grid)
    whole = path.read_bytes()
    assert same(salvage_token_file(path).grid, grid)
    third = whole.index(b"BLCK", whole.index(b"BLCK", whole.index(b"BLCK") + 4) + 4)
    path.write_bytes(whole[: third + 40])
    kept = salvage_token_file(path)
    np.testing.assert_array_equal(kept.grid.codes, grid.codes[:, :512])
    assert kept.grid.num_samples == 512 * 4096
    assert "expected a block" in kept.damage
    path.write_bytes(whole[:30])
    with pytest.raises(Truncated):
        salvage_token_file(path)


def test_channels_and_encode_mode_have_header_fields(tmp_path: Path) -> None:
    extra = {"channels": 2, "encode_mode": {"dtype": "float32", "device": "cpu"}, "note": "x"}
    grid = TokenGrid(codes=np.zeros((2, 1), int), codebook_size=2, extra=extra)
    write_token_file(tmp_path / "a.btk", grid)
    with TokenFile(tmp_path / "a.btk") as file:
        assert file.header.channels == 2
        assert file.header.encode_mode["dtype"] == "float32"
        assert file.header.tool_version.startswith("bandtok ")
        assert file.header.extra == {"note": "x"}
    assert read_token_file(tmp_path / "a.btk").extra == extra


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"x": object()}, "cannot be written as JSON"),
        ({"x": float("nan")}, "cannot be written as JSON"),
        ({"x": "\ud800"}, "cannot be written as JSON"),
        ({"x": "y" * 70_000}, "expected at most 65536"),
        ({"channels": 0}, "got channels = 0"),
    ],
)
def test_what_cannot_be_written_leaves_no_file(
    tmp_path: Path, extra: dict[str, object], message: str
) -> None:
    grid = TokenGrid(codes=np.zeros((2, 1), int), codebook_size=2, extra=extra)
    with pytest.raises(TokenFileError, match=message):
        write_token_file(tmp_path / "a.btk", grid)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.btk"
    write_token_file(path, make_grid(seed=1))
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("bandtok.tokens.atomic.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_token_file(path, make_grid(seed=2))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.btk"]


def test_other_files_are_not_token_files(tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    for content in (b"", b"RIFF....WAVE", MAGIC.replace(b"\r\n", b"\n") + b"\0" * 100):
        path.write_bytes(content)
        with pytest.raises(NotATokenFile):
            read_token_file(path)
    with pytest.raises(FileNotFoundError):
        read_token_file(tmp_path / "none.btk")


def test_versions(tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    path.write_bytes(header_with(b"{}", version=(2, 0)))
    with pytest.raises(UnsupportedVersion, match=r"version 2\.0"):
        read_token_file(path)
    write_token_file(path, make_grid())
    header = TokenFileHeader(**{**fields(), "version": (1, 7)})  # type: ignore[arg-type]
    path.write_bytes(file_bytes(header, np.zeros((16, 3), np.int32)))
    assert read_token_file(path).num_frames == 3


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 60_000,
        b'{"bands":1,"bands":1}',
        b'{"extra":{"a":1,"a":2}}',
        b'{"bands":NaN}',
        b'{"bands":' + b"9" * 50_000 + b"}",
        *(
            json.dumps(fields(**change)).encode()
            for change in (
                {"bands": 0},
                {"bands": -1},
                {"bands": True},
                {"bands": 16.0},
                {"bands": 2**40},
                {"codebook_size": 0},
                {"codebook_size": 2**31},
                {"sample_rate": "44100"},
                {"samples_per_frame": 0},
                {"num_samples": -1},
                {"num_samples": 2**63},
                {"num_samples": 1},
                {"model_id": 7},
                {"extra": []},
                {"encode_mode": None},
            )
        ),
    ],
    ids=range(24),
)
def test_hostile_headers_are_refused(tmp_path: Path, text: bytes) -> None:
    empty = file_bytes(TokenFileHeader(**fields()), np.zeros((16, 0), np.int32))  # type: ignore[arg-type]
    seed = struct.pack("<I", zlib.crc32(struct.pack("<8sHHI", MAGIC, 1, 0, len(text)) + text))
    footer = empty[empty.index(b"FOOT") : -len(END_MAGIC) - 4]
    footer += struct.pack("<I", zlib.crc32(seed + footer)) + END_MAGIC
    path = tmp_path / "a.btk"
    path.write_bytes(header_with(text, footer))
    with pytest.raises(TokenFileError, match=r"^a\.btk: "):
        read_token_file(path)


def test_unknown_header_keys_are_ignored(tmp_path: Path) -> None:
    text = json.dumps(fields(mystery=[1, {"a": 2}])).encode()
    data = file_bytes(TokenFileHeader(**fields()), np.zeros((16, 0), np.int32))  # type: ignore[arg-type]
    seed = struct.pack("<I", zlib.crc32(struct.pack("<8sHHI", MAGIC, 1, 0, len(text)) + text))
    footer = data[data.index(b"FOOT") : -len(END_MAGIC) - 4]
    footer += struct.pack("<I", zlib.crc32(seed + footer)) + END_MAGIC
    (tmp_path / "a.btk").write_bytes(header_with(text, footer))
    assert read_token_file(tmp_path / "a.btk").num_frames == 0


def test_declared_sizes_are_checked_before_anything_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    path.write_bytes(struct.pack("<8sHHI", MAGIC, 1, 0, 0xFFFFFFFF) + b"\0" * 50)
    with pytest.raises(TokenFileError, match="expected at most 65536"):
        read_token_file(path)
    header = TokenFileHeader(**fields())  # type: ignore[arg-type]
    whole = file_bytes(header, np.zeros((16, 1), np.int32))
    start, stop = whole.index(b"BLCK"), whole.index(b"FOOT")
    for frames, count in ((2**32 - 1, 1), (1, 2**32 - 1), (0, 1), (2, 1)):
        footer = struct.pack("<4sI", b"FOOT", count) + struct.pack("<QQII", start, 0, frames, 0)
        footer += struct.pack("<Q32sI", frames, b"\0" * 32, len(footer) + 48)
        footer += struct.pack("<I", zlib.crc32(whole[16:20] + footer)) + END_MAGIC
        path.write_bytes(whole[:stop] + footer)
        with pytest.raises(TokenFileError):
            read_token_file(path)


def test_tokens_outside_the_codebook_and_stray_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    header = TokenFileHeader(**fields(codebook_size=3, bands=3))  # type: ignore[arg-type]
    path.write_bytes(file_bytes(header, np.full((3, 2), 3, np.int32)))
    with pytest.raises(TokenOutOfRange, match="got token 3; expected 0 to 2"):
        read_token_file(path)
    data = bytearray(file_bytes(header, np.zeros((3, 1), np.int32)))
    block = data.index(b"BLCK")
    data[block + 20] |= 1
    data[block + 21 : block + 25] = struct.pack(
        "<I", zlib.crc32(data[16:20] + data[block : block + 21])
    )
    path.write_bytes(data)
    assert salvage_token_file(path).grid.num_frames == 0
    assert "bits after the last token" in salvage_token_file(path).damage


@given(data=st.binary(max_size=300), place=st.integers(0, 300))
@settings(max_examples=150, deadline=None)
def test_noise_raises_only_typed_errors(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, place: int
) -> None:
    whole = file_bytes(TokenFileHeader(**fields(bands=2)), np.zeros((2, 3), np.int32))  # type: ignore[arg-type]
    path = tmp_path_factory.mktemp("noise") / "a.btk"
    path.write_bytes(whole[:place] + data + whole[place + len(data) :])
    try:
        grid = read_token_file(path)
    except TokenFileError:
        return
    assert path.read_bytes() == whole
    assert grid.num_frames == 3


def test_reading_codes_needs_numpy_only(tmp_path: Path) -> None:
    path = tmp_path / "a.btk"
    write_token_file(path, make_grid())
    program = (
        "import sys; from bandtok.tokens.token_file import TokenFile\n"
        "with TokenFile(sys.argv[1]) as file: assert file.read().shape == (16, 5)\n"
        "assert not {'torch', 'soundfile', 'einops', 'bandtok.tokens.grid'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.btk")
    for read in (read_token_file, salvage_token_file):
        with pytest.raises(NotATokenFile, match="not a regular file"):
            read(tmp_path / "pipe.btk")


@pytest.mark.parametrize("num_samples", [0, 1, 4096 * 4, 4096 * 5 + 1, 2**63 - 1])
def test_salvage_ignores_a_length_that_the_blocks_deny(tmp_path: Path, num_samples: int) -> None:
    header = TokenFileHeader(**fields(num_samples=num_samples))  # type: ignore[arg-type]
    (tmp_path / "a.btk").write_bytes(file_bytes(header, np.zeros((16, 5), np.int32)))
    kept = salvage_token_file(tmp_path / "a.btk")
    assert (kept.grid.num_frames, kept.grid.num_samples) == (5, 5 * 4096)
    assert "expected that many frames" in kept.damage


def test_the_longest_header_is_read(tmp_path: Path) -> None:
    grid = make_grid()
    write_token_file(tmp_path / "a.btk", grid)
    length = struct.unpack_from("<I", (tmp_path / "a.btk").read_bytes(), 12)[0]
    longest = {**grid.extra, "x": "y" * (MAX_HEADER_BYTES - length - len(',"x":""'))}
    write_token_file(tmp_path / "a.btk", dataclasses.replace(grid, extra=longest))
    assert struct.unpack_from("<I", (tmp_path / "a.btk").read_bytes(), 12)[0] == MAX_HEADER_BYTES
    assert read_token_file(tmp_path / "a.btk").extra == longest


def test_messages_do_not_command_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[2J\n.btk"
    path.write_bytes(header_with(json.dumps(fields(model_id=["\x1b]0;x\x07"])).encode()))
    with pytest.raises(TokenFileError) as raised:
        read_token_file(path)
    assert str(raised.value).isprintable()
