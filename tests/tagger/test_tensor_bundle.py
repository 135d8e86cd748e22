"""Reading tensor bundles: what was written comes back; whatever is damaged is a CheckpointError."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bandtok.errors import CheckpointError
from bandtok.tagger.tensor_bundle import TensorBundle, crc32c, masked_crc32c

FOOTER = bytes.fromhex("57fb808b247547db")
VALUES = {
    "layer/bias": np.arange(3, dtype=np.float32),
    "layer/kernel": np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32),
}


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(items: list[tuple[bytes, bytes]]) -> bytes:
    body, last = b"", b""
    for key, value in items:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b),
            min(len(key), len(last)),
        )
        body += varint(shared) + varint(len(key) - shared) + varint(len(value))
        body, last = body + key[shared:] + value, key
    body += (0).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\0"
    return body + masked_crc32c(body).to_bytes(4, "little")


def write_bundle(folder: Path) -> Path:
    data, items = b"", [(b"", field(1, 1))]
    for name, values in VALUES.items():
        raw = values.tobytes()
        shape = b"".join(field(2, field(1, size)) for size in values.shape)
        entry = field(1, 1) + field(2, shape) + field(4, len(data)) + field(5, len(raw))
        entry += varint(6 << 3 | 5) + masked_crc32c(raw).to_bytes(4, "little")
        items.append((name.encode(), entry))
        data += raw
    items.append((b"step", field(1, 9) + field(5, 8)))  # not float32: left out
    content = block(items)
    place = varint(0) + varint(len(content) - 5)
    index = block([(b"z", place)])
    handles = varint(0) * 2 + varint(len(content)) + varint(len(index) - 5)
    footer = handles.ljust(40, b"\0") + FOOTER
    (folder / "x.index").write_bytes(content + index + footer)
    (folder / "x.data-00000-of-00001").write_bytes(data)
    return folder / "x"


def crc_bit_by_bit(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_checksum_is_crc32c() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    for length in (0, 1, 3, 4, 5, 1023, 1024, 1025, 3000):
        data = np.random.default_rng(length).bytes(length)
        assert crc32c(data) == crc_bit_by_bit(data), length


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    bundle = TensorBundle(write_bundle(tmp_path))
    assert bundle.shapes == {name: values.shape for name, values in VALUES.items()}
    for name, values in VALUES.items():
        np.testing.assert_array_equal(bundle.read(name), values)
    with pytest.raises(CheckpointError, match="step"):
        bundle.read("step")


def test_a_changed_byte_of_the_index_is_refused(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path)
    index = tmp_path / "x.index"
    good = index.read_bytes()
    padding = range(len(good) - 48, len(good) - 8)
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 0x41
        index.write_bytes(bad)
        try:
            shapes = TensorBundle(prefix).shapes
        except CheckpointError:
            continue
        # Only bytes that say nothing may change: the unused part of the footer.
        assert place in padding
        assert shapes == {name: values.shape for name, values in VALUES.items()}


def test_an_index_cut_short_is_refused(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path)
    index = tmp_path / "x.index"
    good = index.read_bytes()
    for length in range(len(good)):
        index.write_bytes(good[:length])
        with pytest.raises(CheckpointError):
            TensorBundle(prefix)


def test_noise_with_the_right_end_is_refused(tmp_path: Path) -> None:
    for seed in range(200):
        (tmp_path / "x.index").write_bytes(np.random.default_rng(seed).bytes(200) + FOOTER)
        with pytest.raises(CheckpointError):
            TensorBundle(tmp_path / "x")


def test_numbers_missing_or_changed_are_refused(tmp_path: Path) -> None:
    prefix = write_bundle(tmp_path)
    data = tmp_path / "x.data-00000-of-00001"
    good = data.read_bytes()
    data.write_bytes(good[:-1])
    with pytest.raises(CheckpointError, match="ends at"):
        TensorBundle(prefix).read("layer/kernel")
    data.write_bytes(good[:-1] + b"?")
    with pytest.raises(CheckpointError, match="have changed"):
        TensorBundle(prefix).read("layer/kernel")
    data.unlink()
    with pytest.raises(CheckpointError, match="cannot read"):
        TensorBundle(prefix).read("layer/kernel")
    with pytest.raises(CheckpointError, match="cannot read"):
        TensorBundle(tmp_path / "absent")
