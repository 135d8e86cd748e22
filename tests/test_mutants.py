"""The list of mutants fits the source; `make mutants` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_every_mutant_finds_its_text_exactly_once() -> None:
    tool = Path(__file__).parent.parent / "tools" / "run_mutants.py"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
