"""Documents and source use the terms of docs/glossary.md and no word that it lists under "not".

Documents are README, CONTRIBUTING, SECURITY, CHANGELOG, docs/*.md and the model cards; docs/lab (a
notebook of the past), docs/attribution.md (generated: titles of tracks) and generated tables below
docs/ are not searched. Source is the package with its names, docstrings, comments and help texts.
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
PACKAGE = ROOT / "src" / "bandtok"
MODULES = sorted(PACKAGE.rglob("*.py"))
# Words that programs use in another sense.
ORDINARY_IN_SOURCE = {"sign", "opening", "openings", "tick"}
# Words of the language that this project once spoke, which documents use in their usual sense.
NOT_IN_SOURCE = [
    "hear",
    "hears",
    "heard",
    "hearing",
    "told",
    "tells",
    "foresees",
    "verdict",
    "verdicts",
    "drawn",
    "draws",
    "judging",
    "liking",
    "listens",
    "mended",
    "game",
    "adversaries",
    "voices",
    "plays",
]
# Vocabulary of music and names in other files: path, words.
EXCEPTIONS = {
    "data/caption_templates.py": {"voices", "game"},
    "data/captions.py": {"voices", "hear", "heard"},
    "data/manifest.py": {"licence"},
    "data/segments.py": {"metre"},
    "evaluation/html_page.py": {"drawn"},
    "evaluation/plots.py": {"draws"},
    "evaluation/prompts.py": {"voices"},
    "pages/clips.py": {"draws", "plays"},
}
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


def words_of_source(text: str) -> str:
    """Return a module's text with names taken apart: `beat_scale`, `BeatScale` -> beat scale."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).replace("_", " ")


def test_names_are_taken_apart() -> None:
    assert uses_of("beat clock", words_of_source("self.beat_conditioning = BeatClock()")) != []
    assert uses_of("sign", words_of_source("design(signs)")) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_source_uses_no_such_word(module: Path) -> None:
    text = words_of_source(module.read_text(encoding="utf-8"))
    name = module.relative_to(PACKAGE).as_posix()
    banned = {*words_not_to_use(), *NOT_IN_SOURCE} - ORDINARY_IN_SOURCE
    found = {word for word in banned if uses_of(word, text)}
    assert found == EXCEPTIONS.get(name, set()), f"{name}; see docs/glossary.md"
