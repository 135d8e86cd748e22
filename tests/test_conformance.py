"""The conformance set: it is what its script makes, and the reader answers it as listed."""

from __future__ import annotations

import filecmp
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bandtok import errors
from bandtok.tokens.token_file import TokenFile, read_token_file, salvage_token_file
from bandtok.tokens.token_format import file_bytes
from bandtok.tokens.token_header import TokenFileHeader
from research.reliability.make_conformance import example_codes, example_fields, write_set
from research.reliability.raw_token_file import raw_file

FOLDER = Path(__file__).parent / "conformance"
INDEX = json.loads((FOLDER / "conformance.json").read_text(encoding="utf-8"))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_script_makes_exactly_these_files(tmp_path: Path) -> None:
    assert write_set(tmp_path) == sum(map(len, INDEX.values()))
    assert names(tmp_path) == [name for name in names(FOLDER) if name != "README.md"]
    for name in names(tmp_path):
        assert filecmp.cmp(tmp_path / name, FOLDER / name, shallow=False), name
    assert sum((FOLDER / name).stat().st_size for name in names(FOLDER)) < 200_000


@pytest.mark.parametrize("entry", INDEX["good"], ids=lambda entry: entry["file"])
def test_good_files_are_read(entry: dict[str, str]) -> None:
    content = json.loads((FOLDER / entry["content"]).read_text(encoding="utf-8"))
    with TokenFile(FOLDER / entry["file"]) as file:
        codes = file.read()
        known = {key: value for key, value in content["header"].items() if key != "zebra"}
        for key, value in known.items():
            assert getattr(file.header, key) == value
    assert codes.tolist() == content["codes"]
    salvage = salvage_token_file(FOLDER / entry["file"])
    assert salvage.damage == "nothing: every block is whole"
    np.testing.assert_array_equal(salvage.grid.codes, codes)


@pytest.mark.parametrize("entry", INDEX["bad"], ids=lambda entry: entry["file"])
def test_bad_files_are_refused(entry: dict[str, str]) -> None:
    path = FOLDER / entry["file"]
    with pytest.raises(errors.TokenFileError, match=f"^{path.name}") as raised:
        read_token_file(path)
    assert type(raised.value).__name__ == entry["error"]
    assert str(raised.value).isprintable()
    if entry["salvaged_frames"] is None:
        with pytest.raises(errors.TokenFileError):
            salvage_token_file(path)
    else:
        assert salvage_token_file(path).grid.num_frames == entry["salvaged_frames"]


def test_the_numpy_only_reader_answers_the_whole_set() -> None:
    program = (
        "import json, pathlib, sys\n"
        "from bandtok.errors import TokenFileError\n"
        "from bandtok.tokens.token_file import TokenFile\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "index = json.loads((folder / 'conformance.json').read_text(encoding='utf-8'))\n"
        "for entry in index['good'] + index['bad']:\n"
        "    try:\n"
        "        with TokenFile(folder / entry['file']) as file: file.read()\n"
        "        found = None\n"
        "    except TokenFileError as error:\n"
        "        found = type(error).__name__\n"
        "    assert found == entry.get('error'), entry\n"
        "outside = {name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names\n"
        "print(*sorted(name for name in outside if not name.startswith('_')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(FOLDER)], check=True, capture_output=True, text=True
    )
    forbidden = {"torch", "soundfile", "soxr", "einops", "librosa", "typer", "rich"}
    assert {"bandtok", "numpy"} <= set(done.stdout.split())
    assert not forbidden & set(done.stdout.split())


@pytest.mark.parametrize(("bands", "frames", "size"), [(16, 300, 4096), (3, 7, 5), (5000, 2, 2)])
def test_both_writers_write_the_same_bytes(bands: int, frames: int, size: int) -> None:
    step = max(1, 4096 // bands)
    codes = example_codes(bands, frames, size)
    fields = example_fields(bands, size, num_samples=frames * 4096)
    header = TokenFileHeader(**fields)  # type: ignore[arg-type]
    written = {
        key: value for key, value in vars(header).items() if key not in ("version", "pan_bands")
    }
    sizes = [min(step, frames - start) for start in range(0, frames, step)]
    assert raw_file(written, codes, sizes).to_bytes() == file_bytes(header, np.array(codes))
