"""The header of a .btk file: what it says about its tokens, as canonical JSON.

Knows numpy and the standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NoReturn

from bandtok.errors import (
    TokenFileError,
)

VERSION = (1, 0)
PAN_VERSION = (1, 1)  # the first that knows pan rows; files without them stay as they were
MAX_HEADER_BYTES = 1 << 16
PAN_BITS = 6
"""Bits that the relation of two channels takes in a band and frame of a stereo grid."""


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


def pan_bands_per_token(codebook_size: int) -> int:
    """Return how many bands of a stereo grid share a token of its pan rows; 0: there is no room."""
    return (codebook_size.bit_length() - 1) // PAN_BITS


def pan_row_count(num_bands: int, codebook_size: int) -> int:
    """Return the pan rows that a stereo grid of `num_bands` has; 0: the codebook is too small."""
    per_token = pan_bands_per_token(codebook_size)
    return -(-num_bands // per_token) if per_token else 0


def header_json(header: TokenFileHeader) -> bytes:
    """Return a header as JSON; raises TokenFileError if it cannot be written or is too long."""
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


def parse_header(text: bytes, version: tuple[int, int], name: str) -> TokenFileHeader:
    """Read a header; raises TokenFileError if it is not canonical or a field does not fit."""
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


def _check_int(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise TokenFileError(f"got {name} = {value!r:.60}; expected a whole number {least}..{most}")


def _check_type(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise TokenFileError(f"got {name} = {value!r:.60}; expected a {kind.__name__}")
