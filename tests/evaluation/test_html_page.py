"""Pages: well formed, escaped, without any outer resource, and under a policy that fits them."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from bandtok.evaluation.html_page import (
    Section,
    code,
    document,
    escaped,
    heading,
    paragraph,
    plot,
    table,
)

HOSTILE = "<script>alert(1)</script>\"'&<img src=http://example.org/x onerror=x>"
VOID = {"meta", "img", "br", "link", "input"}


class Outline(HTMLParser):
    """Checks that tags are balanced and keeps them with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(script: str = "", *titles: str) -> str:
    parts = [
        heading(HOSTILE, 3),
        paragraph(f"one\n{HOSTILE}", "soft"),
        code(HOSTILE),
        table([[HOSTILE, "b"], [HOSTILE, "1"]], HOSTILE),
        plot(b"\x89PNG", "image/png", HOSTILE, HOSTILE),
    ]
    sections = [Section(title=title, parts=parts) for title in titles or ("One", "One")]
    return document(HOSTILE, [paragraph("lead")], sections, script=script)


def policy(outline: Outline) -> dict[str, str]:
    (found,) = [meta["content"] for meta in outline.of("meta") if "http-equiv" in meta]
    assert found
    return dict(part.strip().split(" ", 1) for part in found.split(";"))


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_text_is_shown_and_not_obeyed() -> None:
    outline = Outline(page())
    assert outline.text.count(HOSTILE) >= 8
    assert not outline.of("script")
    assert all(set(image) == {"alt", "src"} for image in outline.of("img"))
    assert [image["alt"] for image in outline.of("img")] == [HOSTILE] * 2
    assert escaped("half a sign: \ud800") == "half a sign: ?"


def test_every_address_is_in_the_page() -> None:
    outline = Outline(page("let x = 1;"))
    names = {attributes.get("id") for _, attributes in outline.tags}
    for _, attributes in outline.tags:
        for key in ("src", "href"):
            value = attributes.get(key)
            if value and value.startswith("#"):
                assert value[1:] in names
            elif value:
                assert value.startswith("data:")
    assert "url(" not in page()
    assert "@import" not in page()


def test_the_policy_allows_the_page_s_own_style_and_script_only() -> None:
    text = page("let x = 1 < 2;")
    rules = policy(Outline(text))
    assert rules["default-src"] == "'none'"
    (style,), (script,) = (
        re.findall(rf"<{t}>(.*?)</{t}>", text, re.S) for t in ("style", "script")
    )
    assert rules["style-src"] == digest(style)
    assert rules["script-src"] == digest(script)
    assert {rules["img-src"], rules["media-src"]} == {"data:"}
    assert policy(Outline(page()))["script-src"] == "'none'"


def test_the_contents_lead_to_every_section() -> None:
    outline = Outline(page("", "Same", "Same", "…", "Ünï 2"))
    names = [section["id"] for section in outline.of("section")]
    assert len(set(names)) == 4
    links = [link["href"] for link in outline.of("a") if link.get("class") != "skip"]
    assert links == [f"#{name}" for name in names]
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert [len(outline.of(tag)) for tag in ("h1", "main", "nav")] == [1, 1, 1]
    assert not Outline(page("", "Alone")).of("nav")


@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (["1", "-2.5", "1,234"], True),
        (["4.21 [4.10, 4.30] (n=12)", "0.297 [0.286, 0.307], n=27"], True),
        (["14.8 ± 0.2", "–", ""], True),
        (["3 %", "12 s", "2.07 kbit/s", "1e-05", "5 min"], True),
        (["2D RoPE", "1D RoPE"], False),
        (["1", "two"], False),
        (["–", ""], False),
        ([], False),
        (["16 layers"], False),
    ],
)
def test_columns_of_numbers_are_set_to_the_right(cells: list[str], right: bool) -> None:
    outline = Outline(table([["name", "value"], *(["row", cell] for cell in cells)], "label"))
    heads = outline.of("th")[:2]
    assert [head.get("class") for head in heads] == [None, "number" if right else None]
    assert [cell.get("class") for cell in outline.of("td")] == [
        "number" if right else None for _ in cells
    ]


def test_the_first_cell_names_its_row_unless_it_is_a_number() -> None:
    named = Outline(table([["name", "x"], ["a", "1"]], "label"))
    assert [head["scope"] for head in named.of("th")] == ["col", "col", "row"]
    numbered = Outline(table([["row", "x"], ["0", "1"]], "label"))
    assert [head["scope"] for head in numbered.of("th")] == ["col", "col"]
    (region,) = named.of("div")
    assert (region["tabindex"], region["aria-label"]) == ("0", "label")
