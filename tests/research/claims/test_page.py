"""The whole page: what it holds, how numbers are written, and that it stays in its limits."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from bandtok.errors import DataError
from bandtok.pages import page
from bandtok.pages.clips import ClipGroup, Coding, PageClip
from bandtok.pages.page import PageContent, write_page
from bandtok.signal.audio import Audio
from bandtok.tokens.grid import TokenGrid
from research.claims.records import Cell, RecordTable, load_records
from research.claims.result_page import load_picture, results_content, table_rows

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0h9"/></svg>'


def noise(path: Path, seconds: float = 1.0) -> None:
    wave = np.random.default_rng(0).standard_normal((1, round(44_100 * seconds)))
    Audio(0.1 * wave.astype(np.float32), 44_100).save(path)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    (folder / "first").mkdir(parents=True)
    (folder / "first-levels.svg").write_text(SVG)
    for name in ("band", "residual"):
        noise(folder / "first" / f"{name}.flac")
    Image.new("RGB", (3, 3)).save(folder / "first" / "band.png")
    clips: list[dict[str, Any]] = [
        {
            "title": "piece",
            "group": "G <1>",
            "system": "band",
            "prompt": "calm",
            "audio": "first/band.flac",
            "picture": "first/band.png",
        },
        {"title": "alone", "audio": "first/band.flac"},
        {
            "title": "piece",
            "group": "G <1>",
            "system": "residual",
            "prompt": "calm",
            "audio": "first/residual.flac",
        },
    ]
    document = {
        "name": "first", "title": "First <b>", "question": "Is it?", "answer": "Yes.\n\nBut.",
        "command": "python -m research.claims first", "minutes": 90, "seeds": [0, 1],
        "scale": "small",
        "tables": [{"title": "T", "columns": ["system", "mel"], "rows": [["band", 0.2971]]}],
        "plots": ["first-levels.svg"], "clips": clips,
    }  # fmt: skip
    (folder / "first.json").write_text(json.dumps(document))
    (folder / "second.json").write_text(json.dumps({"name": "second", "title": "Second"}))
    return folder


def written(results: Path, out: Path, coding: Coding | None = None) -> str:
    write_page(results_content("Page", load_records(results)), out, coding)
    return out.read_text(encoding="utf-8")


def test_the_page_holds_all_of_the_results(results: Path, tmp_path: Path) -> None:
    content = results_content("Page", load_records(results))
    written = write_page(content, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (written.size_bytes, written.clips, written.coding) == (
        len(text.encode()),
        3,
        Coding.FLAC,
    )
    assert written.missing == ()
    assert text.count("<audio ") == text.count("data:audio/flac;base64,") == 3
    assert text.count("data:image/svg+xml;base64,") == 1
    for part in (
        "First &lt;b&gt;",
        "Is it?",
        "python -m research.claims first",
        "0.2971",
        "took 90 min",
    ):
        assert part in text
    assert "No results are reported." in text.partition(">Second</h2>")[2]
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)


def test_clips_of_a_group_stand_under_one_title(results: Path, tmp_path: Path) -> None:
    text = written(results, tmp_path / "page.html")
    start = text.index("<h3>G &lt;1&gt;</h3>")
    group = text[start : text.index("<h3>alone</h3>")]
    assert re.findall(r"<strong>(\w+)</strong>", group) == ["band", "residual"]
    assert group.count("Prompt: “calm”") == 1


def test_the_overview_has_the_beginning_of_a_long_answer(results: Path, tmp_path: Path) -> None:
    document = json.loads((results / "first.json").read_text())
    sentences = [f"Sentence {number} {'and so on ' * 9}ends at .{number}." for number in range(9)]
    (results / "first.json").write_text(json.dumps(document | {"answer": " ".join(sentences)}))
    text = written(results, tmp_path / "a.html")
    overview = text[text.index(">At a glance</h2>") : text.index(">First &lt;b&gt;</h2>")]
    assert "ends at .1. …</td>" in overview
    assert "Sentence 2" not in overview
    assert text.count("Sentence 8") == 1


def test_what_heading_and_label_say_is_not_said_again(results: Path, tmp_path: Path) -> None:
    document = json.loads((results / "first.json").read_text())
    clips = document["clips"]
    clips[0] |= {"title": "calm (band)", "group": "calm"}
    clips[2] |= {"title": "calm (residual)", "group": "calm"}
    clips[1] |= {"title": "alone", "prompt": "loud", "group": "all alone"}
    (results / "first.json").write_text(json.dumps(document))
    text = written(results, tmp_path / "a.html")
    assert "calm (" not in text
    assert re.findall("Prompt: “.*?”", text) == ["Prompt: “loud”"]
    assert "<h3>all alone</h3>" in text
    assert "<strong>alone</strong>" in text


def test_pictures_give_way_to_tokens_that_can_be_drawn(results: Path, tmp_path: Path) -> None:
    document = json.loads((results / "first.json").read_text())
    assert written(results, tmp_path / "a.html").count("Picture of band, G") == 1
    document["clips"][2]["tokens"] = "first/residual.btk"
    (results / "first.json").write_text(json.dumps(document))
    codes = np.arange(16 * 11).reshape(16, 11)
    TokenGrid(codes=codes, codebook_size=4096).save(results / "first" / "residual.btk")
    text = written(results, tmp_path / "b.html")
    assert "Picture of" not in text
    assert re.findall(r'alt="(Token grid of \w+)', text) == ["Token grid of residual"]


def test_the_same_results_give_the_same_page(results: Path, tmp_path: Path) -> None:
    assert written(results, tmp_path / "a.html") == written(results, tmp_path / "b.html")


def test_sounds_are_coded_with_loss_where_the_page_would_be_too_large(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PAGE_LIMIT_BYTES", 300_000)
    records = load_records(results)
    written = write_page(results_content("Page", records), tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert written.coding is Coding.OPUS
    assert text.count("data:audio/ogg;base64,") == 3
    assert written.size_bytes < 300_000
    assert "stored as Opus" in text
    kept = write_page(results_content("P", records), tmp_path / "b.html", Coding.FLAC)
    assert (kept.coding, kept.size_bytes > 300_000) == (Coding.FLAC, True)


def test_missing_clips_leave_a_note(results: Path, tmp_path: Path) -> None:
    (results / "first" / "residual.flac").unlink()
    (results / "first" / "band.png").write_bytes(b"no picture")
    content = results_content("Page", load_records(results))
    written = write_page(content, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert written.clips == 2
    assert any(line.endswith("first/residual.flac is missing") for line in written.missing)
    assert len(written.missing) == 2
    assert "first/residual.flac is missing" in text
    assert str(results / "first" / "residual.flac") not in text


def test_missing_and_damaged_plots_end_it(results: Path, tmp_path: Path) -> None:
    for content, message in (("<html/>", "damaged or no picture"), ("<svg", "damaged or no")):
        (results / "first-levels.svg").write_text(content)
        with pytest.raises(DataError, match=message):
            written(results, tmp_path / "page.html")
    (results / "first-levels.svg").unlink()
    with pytest.raises(DataError, match=r"cannot read the picture .*first-levels\.svg"):
        written(results, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_pictures_are_what_they_say(tmp_path: Path) -> None:
    sampled = io.BytesIO()
    figure = plt.figure()
    figure.savefig(sampled, format="svg")
    plt.close(figure)
    (tmp_path / "a.svg").write_bytes(sampled.getvalue())
    assert load_picture(tmp_path / "a.svg")[1] == "image/svg+xml"
    Image.new("RGB", (200, 200), "red").save(tmp_path / "a.png")
    content, kind = load_picture(tmp_path / "a.png")
    assert kind == "image/png"
    (tmp_path / "b.png").write_bytes(content[:-20])
    (tmp_path / "c.png").write_bytes(SVG.encode())
    for name in ("b.png", "c.png"):
        with pytest.raises(DataError, match="damaged or no picture"):
            load_picture(tmp_path / name)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([1234, 5], ["1,234", "5"]),
        ([0.29713, 0.31], ["0.2971", "0.3100"]),
        ([0.25, 1], ["0.25", "1.00"]),
        ([5.41, 14.8], ["5.41", "14.80"]),
        ([12345.678, 2.5], ["12,345.7", "2.5"]),
        ([5.41, 0.012], ["5.410", "0.012"]),
        ([1e-6], ["0.000001"]),
        ([0.0, None], ["0", "–"]),
        ([True, False], ["yes", "no"]),
        (["0.3 [0.2, 0.4]", "<x>"], ["0.3 [0.2, 0.4]", "<x>"]),
        ([], []),
    ],
)
def test_numbers_of_a_column_have_one_number_of_decimals(
    cells: list[Cell], expected: list[str]
) -> None:
    rows = tuple((cell,) for cell in cells)
    table = RecordTable(title="", columns=("value",), rows=rows)
    assert [row[0] for row in table_rows(table)] == ["value", *expected]


def test_a_page_without_sounds_has_no_script(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": "a", "title": "A"}')
    text = written(tmp_path, tmp_path / "page.html")
    assert "<script" not in text
    assert "<nav" not in text


def test_made_groups_have_sections_of_their_own(tmp_path: Path) -> None:
    silent = Audio(np.zeros((1, 44_100), np.float32), 44_100)
    group = ClipGroup(title="t", clips=[PageClip(label="a", audio=silent)])
    content = PageContent(title="Page", reconstructions=[group], generated=[group, group])
    written = write_page(content, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert written.clips == 3
    assert text.index(">Reconstructions</h2>") < text.index(">Generated clips</h2>")
