"""Documents use the terms of docs/glossary.md and none of the words that it lists under "not".

Restricted to documents: README, CONTRIBUTING, SECURITY, CHANGELOG, docs/*.md and the model cards.
docs/lab (a notebook of the past), docs/attribution.md (generated: titles of tracks), generated
tables below docs/, and the source code with its help texts are not searched.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"
CARDS = sorted((ROOT / "src" / "bandtok" / "weights").glob("*/README.md"))
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "attribution.md"),
    *CARDS,
]
_CODE = re.compile(r"^```.*?^```|^ {4}\S[^\n]*|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK_TARGET = re.compile(r"\]\([^)]*\)|<https?:[^>]*>")


def rows_with_words() -> list[list[str]]:
    """Return the cells of each row of the tables; the last holds the words not to use."""
    lines = [line for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line[:1] == "|"]
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    return [row for row in rows if row[-1] != "not" and set(row[-1]) != {"-"}]


def words_not_to_use() -> list[str]:
    listed = [word.strip() for row in rows_with_words() for word in row[-1].split(",")]
    return [word for word in listed if word]


def prose_of(page: Path) -> str:
    """Return a page without code, addresses and, of the glossary, without the words themselves."""
    text = page.read_text(encoding="utf-8")
    if page == GLOSSARY:
        text = "\n".join(
            line.strip().strip("|").rpartition("|")[0] if line[:1] == "|" else line
            for line in text.splitlines()
        )
    return _LINK_TARGET.sub("]", _CODE.sub(" ", text))


def uses_of(word: str, text: str) -> list[str]:
    pattern = r"\b" + r"\s+".join(map(re.escape, word.split())) + r"\b"
    return [found[0] for found in re.finditer(pattern, text, re.IGNORECASE)]


def test_the_glossary_lists_words() -> None:
    words = words_not_to_use()
    assert {"listener", "judge", "anew", "nats a token", "licence"} <= set(words)
    assert len(words) == len(set(words)), "a word stands in the glossary twice"


def test_a_word_is_found_across_lines_and_not_in_code() -> None:
    assert uses_of("nats a token", "2.8 nats\na token") == ["nats\na token"]
    assert not uses_of("anew", _CODE.sub(" ", "`anew`\n\n    bandtok anew\n\n```\nanew\n```\n"))
    assert not uses_of("lever", "leverage")


def test_every_bundled_model_has_a_card_that_is_searched() -> None:
    folders = {path.parent.name for path in ROOT.glob("src/bandtok/weights/*/config.json")}
    assert {card.parent.name for card in CARDS} == folders != set()


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_documents_use_no_such_word(page: Path) -> None:
    text = prose_of(page)
    found = {use for word in words_not_to_use() for use in uses_of(word, text)}
    assert not found, f"{page.relative_to(ROOT)} uses {sorted(found)}; see docs/glossary.md"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_decimal_numbers_begin_with_a_digit(page: Path) -> None:
    found = re.findall(r"(?<![\w./])[+-]?\.\d+", prose_of(page))
    assert not found, f"{page.relative_to(ROOT)} has {found}; expected 0{found[0]}"
