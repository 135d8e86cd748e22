"""Write the conformance set of the token file: good files with their codes, and one file for each
kind of damage with the error it deserves.

    python -m research.reliability.make_conformance --output tests/conformance

The same bytes every time. Made by :mod:`reliability.raw_token_file`, not by bandtok's own writer.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bandtok.tokens.atomic import write_bytes, write_text
from research.reliability.conformance_damage import BadCase, bad_cases
from research.reliability.raw_token_file import Header, RawFile, raw_file

INDEX_NAME = "conformance.json"


@dataclass(frozen=True, kw_only=True)
class GoodCase:
    """A file that every reader must accept."""

    name: str
    what: str
    fields: Header
    codes: list[list[int]]
    raw: RawFile


def example_codes(bands: int, frames: int, codebook_size: int) -> list[list[int]]:
    """Return codes [bands, frames] that look random; the first is the highest, the last 0."""
    codes = [
        [(31 * band + 17 * frame + 5) ** 5 // 7 % codebook_size for frame in range(frames)]
        for band in range(bands)
    ]
    if frames:
        codes[0][0], codes[-1][-1] = codebook_size - 1, 0
    return codes


def example_fields(bands: int, codebook_size: int, **more: object) -> Header:
    """Return the fields of a header."""
    return {
        "bands": bands,
        "codebook_size": codebook_size,
        "sample_rate": 44100,
        "samples_per_frame": 4096,
        "num_samples": None,
        **more,
    }


def good_cases() -> Iterator[GoodCase]:
    """Yield every file that must be accepted."""
    yield _good("empty", "no frames, no block", 16, 4096, [], num_samples=0)
    yield _good("one_frame", "one frame, shorter than a frame", 16, 4096, [1], num_samples=1)
    yield _good("last_sample", "two whole frames", 3, 4096, [2], num_samples=8192)
    yield _good("blocks", "four blocks of several sizes", 5, 1000, [3, 1, 7, 2], num_samples=53000)
    yield _good("uneven_bits", "payload ends inside a byte", 3, 5, [3])
    for size in (1, 2, 3, 4096, 8192, 65536, 2**31 - 1):
        yield _good(f"codebook_{size}", f"codebook of {size}", 4, size, [3, 3])
    yield _good("one_band", "a single band", 1, 4096, [20])
    yield _good("many_bands", "300 bands", 300, 16, [2])
    yield _good("no_length", "num_samples null: whole frames", 16, 4096, [4])
    yield _good("two_channels", "channels 2", 16, 4096, [2], channels=2)
    yield _good("unknown_keys", "header keys of a later version", 4, 64, [5], zebra=[1, {"a": 2}])
    yield _good("all_keys", "every known key, text beyond ASCII", 4, 64, [5], **_ALL_KEYS)
    later = _good("later_minor", "version 1.7", 4, 64, [5])
    yield _with(later, version=(1, 7))
    loose = _good("loose_json", "header with white space, escapes and another order", 4, 64, [5])
    yield _with(loose, header=_loose(loose.fields))


_ALL_KEYS: Header = {
    "num_samples": 20480,
    "channels": 1,
    "model_id": "Übung №1",
    "fingerprint": "00ff" * 16,
    "encode_mode": {"device": "cpu", "dtype": "float32"},
    "tool_version": "conformance 1",
    "extra": {"title": "日本", "list": [1, 2.5, None, True]},
}


def _good(
    name: str, what: str, bands: int, codebook_size: int, sizes: list[int], **more: object
) -> GoodCase:
    fields = example_fields(bands, codebook_size, **more)
    codes = example_codes(bands, sum(sizes), codebook_size)
    raw = raw_file(fields, codes, sizes)
    return GoodCase(name=name, what=what, fields=fields, codes=codes, raw=raw)


def _with(case: GoodCase, **changes: object) -> GoodCase:
    raw = RawFile(**{**vars(case.raw), **changes})  # type: ignore[arg-type]
    return GoodCase(**{**vars(case), "raw": raw})


def _loose(fields: Header) -> bytes:
    text = json.dumps(dict(reversed(fields.items())), indent=1)
    return ("\n " + text.replace("bands", "b\\u0061nds") + " \n").encode()


def write_set(folder: Path) -> int:
    """Write the whole set below `folder`; return how many .btk files it has."""
    (folder / "good").mkdir(parents=True, exist_ok=True)
    (folder / "bad").mkdir(parents=True, exist_ok=True)
    index: dict[str, list[dict[str, object]]] = {"good": [], "bad": []}
    for good in good_cases():
        index["good"].append(_write_good(folder, good))
    base = raw_file(example_fields(4, 60), example_codes(4, 9, 60), [3, 4, 2])
    for bad in bad_cases(base):
        write_bytes(folder / "bad" / f"{bad.name}.btk", bad.data)
        index["bad"].append(_bad_entry(bad))
    lines = [f'"{kind}": [\n{_lines(entries)}\n]' for kind, entries in index.items()]
    write_text(folder / INDEX_NAME, "{\n" + ",\n".join(lines) + "\n}\n")
    return sum(map(len, index.values()))


def _write_good(folder: Path, case: GoodCase) -> dict[str, object]:
    write_bytes(folder / "good" / f"{case.name}.btk", case.raw.to_bytes())
    document = {"header": case.fields, "codes": case.codes}
    write_text(folder / "good" / f"{case.name}.json", json.dumps(document, ensure_ascii=False))
    return {
        "file": f"good/{case.name}.btk",
        "content": f"good/{case.name}.json",
        "what": case.what,
    }


def _bad_entry(case: BadCase) -> dict[str, object]:
    return {
        "file": f"bad/{case.name}.btk",
        "error": case.error,
        "salvaged_frames": case.salvaged_frames,
        "what": case.what,
    }


def _lines(entries: list[dict[str, object]]) -> str:
    return ",\n".join(f"  {json.dumps(entry, ensure_ascii=False)}" for entry in entries)


def main() -> None:
    """Write the set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    arguments = parser.parse_args()
    print(f"{write_set(arguments.out)} files in {arguments.out}")


if __name__ == "__main__":
    main()
