"""Apply each mutant of tests/mutants.toml to a copy of the source and expect its tests to fail.

    python tools/run_mutants.py             all mutants
    python tools/run_mutants.py NAME ...    some of them
    python tools/run_mutants.py --check     only check that every text is found exactly once

Prints one line per mutant. Exit status: 0 if every mutant is killed, 1 if one survives, 2 if the
list does not fit the source or a test fails without any mutant.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "mutants.toml"
COPIED = ("src", "tests", "pyproject.toml")
TEST_FAILED = 1  # exit status of pytest; others stand for errors of collection or usage


class MutantError(Exception):
    """The list of mutants does not fit the source, or the tests do not pass on it."""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change that tests must notice.

    Attributes:
        name: unique, words joined by hyphens.
        file: path from the root of the repository.
        find: text that occurs exactly once in that file.
        replace: what stands in its place.
        tests: node ids of tests that must fail, each in at least one of its parameter sets.
    """

    name: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]


def load_mutants(path: Path = LIST) -> list[Mutant]:
    """Read the list.

    Raises:
        MutantError: if a field is missing or unknown, a name occurs twice, or a list is empty.
    """
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])
    try:
        mutants = [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]
    except (KeyError, TypeError) as error:
        raise MutantError(f"{path.name}: {error}") from None
    names = [mutant.name for mutant in mutants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise MutantError(f"{path.name}: got names {twice or 'none'}; expected each name once")
    for mutant in mutants:
        if not mutant.tests or mutant.find == mutant.replace:
            raise MutantError(f"{mutant.name}: got no tests or no change; expected both")
    return mutants


def mutated(mutant: Mutant, root: Path = ROOT) -> str:
    """Return the text of the mutant's file with the change made.

    Raises:
        MutantError: if the file or one of the tests' files is missing, or the text to replace is
        not found exactly once.
    """
    missing = [
        name for name in (mutant.file, *(t.split("::")[0] for t in mutant.tests))
        if not (root / name).is_file()
    ]  # fmt: skip
    if missing:
        raise MutantError(f"{mutant.name}: no file {missing[0]}; correct tests/mutants.toml")
    text = (root / mutant.file).read_text(encoding="utf-8")
    count = text.count(mutant.find)
    if count != 1:
        raise MutantError(
            f"{mutant.name}: the text to replace was found {count} times in {mutant.file}; "
            "expected once; correct tests/mutants.toml"
        )
    return text.replace(mutant.find, mutant.replace)


def run_tests(root: Path, tests: Sequence[str]) -> tuple[int, list[str], str]:
    """Run tests of the copy in `root`; return exit status, failed node ids and the output."""
    report = root / "report.xml"
    report.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
        "-o", "junit_family=xunit1", f"--junitxml={report}", *tests,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    failed = []
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            if case.find("failure") is not None:
                failed.append(f"{case.get('file')}::{case.get('name')}")
    return done.returncode, failed, done.stdout + done.stderr


def survivors(mutant: Mutant, failed: Sequence[str]) -> list[str]:
    """Return the mutant's tests that did not fail in any of their parameter sets."""
    return [
        test for test in mutant.tests
        if not any(name == test or name.startswith(f"{test}[") for name in failed)
    ]  # fmt: skip


def run_mutant(mutant: Mutant, root: Path) -> bool:
    """Apply a mutant to the copy, run its tests, undo it; print a line; return if it is killed."""
    path = root / mutant.file
    original = path.read_text(encoding="utf-8")
    path.write_text(mutated(mutant, root), encoding="utf-8")
    try:
        status, failed, output = run_tests(root, mutant.tests)
    finally:
        path.write_text(original, encoding="utf-8")
    if status not in (0, TEST_FAILED) or (status and not failed):
        raise MutantError(f"{mutant.name}: pytest ended with status {status}\n{output[-2000:]}")
    passed = survivors(mutant, failed)
    line = f"SURVIVED  {mutant.name}: no failure of {', '.join(passed)}"
    print(line if passed else f"killed    {mutant.name} ({len(failed)} failures)", flush=True)
    return not passed


def run(names: Sequence[str], check_only: bool) -> bool:
    """Check the list and, unless `check_only`, run it; return whether every mutant is killed.

    Raises:
        MutantError: if the list does not fit the source, or its tests do not pass on it.
    """
    mutants = load_mutants()
    unknown = sorted(set(names) - {mutant.name for mutant in mutants})
    if unknown:
        raise MutantError(f"got no mutant named {unknown[0]}; see tests/mutants.toml")
    for mutant in mutants:
        mutated(mutant)
    chosen = [mutant for mutant in mutants if not names or mutant.name in names]
    if check_only:
        return True
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        root = Path(folder)
        for name in COPIED:
            source, ignored = ROOT / name, shutil.ignore_patterns("__pycache__")
            if source.is_dir():
                shutil.copytree(source, root / name, ignore=ignored)
            else:
                shutil.copy(source, root / name)
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        status, failed, output = run_tests(root, tests)
        if status:
            raise MutantError(
                f"without a mutant, pytest ended with status {status}; failed: "
                f"{', '.join(failed) or 'none'}\n{output[-2000:]}"
            )
        print(f"passed    without a mutant ({len(tests)} tests)", flush=True)
        killed = [run_mutant(mutant, root) for mutant in chosen]
    print(f"{sum(killed)} of {len(killed)} mutants killed")
    return all(killed)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", help="mutants to run; all by default")
    parser.add_argument("--check", action="store_true", help="only check the list")
    arguments = parser.parse_args()
    try:
        return 0 if run(arguments.names, arguments.check) else 1
    except MutantError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
