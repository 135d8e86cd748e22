"""What the documents promise: commands that parse, numbers of the bundled weights."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from tests.parsing import parse

import bandtok
from bandtok.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WEIGHTS = ROOT / "src" / "bandtok" / "weights"


def _commands(page: Path) -> Iterator[str]:
    """Yield the lines of code blocks that begin with `bandtok`, continued ones joined."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S)
    blocks += re.findall(r"(?:^ {4}[^\n]*\n)+", text, re.M)
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"\s*(\(\d\) +)?bandtok ", line):
                yield re.sub(r"^\s*(\(\d\) +)?bandtok ", "", line)


LINES = [(page.name, line) for page in PAGES for line in _commands(page)]


@pytest.mark.parametrize(("page", "line"), LINES, ids=lambda value: str(value)[:60])
def test_commands_in_documents_parse(
    page: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shlex.split(re.split(r" [>|] ", line)[0], comments=True)
    for word in words:
        if re.fullmatch(r"[\w./-]*\w\.\w+", word) and not word.startswith(("-", "/")):
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            Path(word).touch()
        elif re.fullmatch(r"[A-Za-z][\w/-]*", word):
            Path(word).mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(typer.Exit):  # --describe and --list end while they are parsed
        parse(app, words)


def test_numbers_are_of_the_bundled_weights() -> None:
    fingerprint = bandtok.Tokenizer.from_pretrained(device="cpu").fingerprint
    numbers = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Numbers")[2]
    assert numbers.strip().startswith(f"Weights with the code fingerprint `{fingerprint}`")
    for page in (*PAGES, ROOT / "CHANGELOG.md", *WEIGHTS.glob("*/README.md")):
        named = re.findall(r"`([0-9a-f]{32})`", page.read_text(encoding="utf-8"))
        assert set(named) <= {fingerprint}, page
    for name in ("lm", "reranker"):
        config = json.loads((WEIGHTS / name / "config.json").read_text(encoding="utf-8"))
        assert config["config"]["tokenizer_fingerprint"] == fingerprint
