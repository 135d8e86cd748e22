"""Fuzzing of the token reader guided by the code it reaches (needs `pip install atheris`, Linux).

    python -m research.reliability.fuzz_reader_guided CORPUS_DIR -atheris_runs=1000000

Options that begin with one dash go to libFuzzer. Half of the inputs are files, half are lists of
lies with checksums that fit; what is checked is what :mod:`reliability.fuzz_reader` checks.
"""

from __future__ import annotations

import importlib
import random
import sys
from pathlib import Path
from types import ModuleType

from research.reliability import fuzz_reader, mutations


def main() -> None:
    """Hand the process to libFuzzer."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("guided fuzzing needs atheris, which is not installed: pip install atheris")
    for name in ("bandtok.tokens.token_format", "bandtok.tokens.token_file"):
        _instrument(atheris, sys.modules[name])
    files = mutations.originals(0)
    corpus = next((Path(a) for a in sys.argv[1:] if not a.startswith("-")), None)
    if corpus is not None:
        corpus.mkdir(parents=True, exist_ok=True)
        for file in files:
            (corpus / f"{file.name}.btk").write_bytes(b"\0" + file.data)
    with fuzz_reader.file_in_memory() as (handle, path):

        def one_input(data: bytes) -> None:
            fuzz_reader.check(_mutant(data, files), handle, path)

        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()


def _instrument(atheris: ModuleType, module: ModuleType) -> None:
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if isinstance(value, type):
            for key, member in list(vars(value).items()):
                if callable(member) and hasattr(member, "__code__"):
                    setattr(value, key, atheris.instrument_func(member))
        elif hasattr(value, "__code__"):
            setattr(module, name, atheris.instrument_func(value))


def _mutant(data: bytes, files: list[mutations.Original]) -> mutations.Mutant:
    """Read libFuzzer's bytes as a file, or as seeds of a chain of lies."""
    known = {file.data: file for file in files}
    if not data or data[0] % 2 == 0:
        return mutations.Mutant("guided", data[1:], known.get(data[1:], _begun_as(data, files)))
    file = files[data[0] // 2 % len(files)]
    raw = file.raw
    for index in range(1, min(len(data), 9), 2):
        rng = random.Random(int.from_bytes(data[index : index + 2], "big"))
        raw = mutations.lie(raw, rng)
    return mutations.Mutant("guided lie", raw.to_bytes(), file, raw)


def _begun_as(data: bytes, files: list[mutations.Original]) -> mutations.Original:
    """Return the file whose start `data` has: salvage may return its blocks."""
    started = (file for file in files if data[1:].startswith(file.raw.start()))
    return next(started, files[0])


if __name__ == "__main__":
    main()
