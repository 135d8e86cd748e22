"""The studio in a real Chromium, on the debug model; skipped where there is no browser."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from fastapi import FastAPI
from tests.server.fixtures import Gate, wait_until

playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)"),
]
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required"
)
CLIPS = """() => new Promise((resolve) => {
  const request = indexedDB.open("bandtok-studio", 1);
  request.onsuccess = () => {
    const all = request.result.transaction("clips").objectStore("clips").getAll();
    all.onsuccess = () => resolve(all.result.map((clip) => ({
      title: clip.title, current: clip.versions.findIndex((one) => one.id === clip.current),
      versions: clip.versions.map((one) => ({
        kind: one.kind, seconds: one.seconds, bands: one.bands, frames: one.frames, seed: one.seed,
        codes: [...one.codes], region: one.region, audio: one.audio.length,
        chords: one.chords, bpm: one.bpm,
      })),
    })));
  };
})"""


@pytest.fixture(scope="module")  # its event loop would disturb other tests
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """A page that may talk to its server only and may log no error but failed requests."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda one: faults.append(one.url) if not is_local(one.url, url) else None)
    page.on(
        "console",
        lambda message: (
            faults.append(message.text)
            if message.type == "error" and "Failed to load resource" not in message.text
            else None
        ),
    )
    page.set_default_timeout(20_000)
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    yield page
    context.close()
    assert faults == []


def is_local(address: str, url: str) -> bool:
    return address.startswith((url, "blob:", "data:"))


def generate(page: Any, seconds: float = 3, takes: str = "1", prompt: str = "calm piano") -> None:
    page.fill("#prompt", prompt)
    page.fill("#duration", str(seconds))
    page.fill("#seed", "1")
    page.select_option("#takes", takes)
    page.click("#generate")
    settle(page)


def settle(page: Any) -> None:
    page.wait_for_selector("#work", state="hidden")


def select(page: Any, left: float, top: float, right: float, bottom: float) -> None:
    """Drag on the token grid: shares of its width and height."""
    box = page.locator("#overlay").bounding_box()
    tokens = page.locator("#tokens").bounding_box()
    x, y = box["x"], tokens["y"]
    page.mouse.move(x + left * box["width"], y + top * tokens["height"])
    page.mouse.down()
    page.mouse.move(x + 0.5 * (left + right) * box["width"], y + 0.5 * tokens["height"])
    page.mouse.move(x + right * box["width"], y + bottom * tokens["height"])
    page.mouse.up()


def test_chords_are_followed_shown_and_refused_if_unknown(page: Any) -> None:
    page.fill("#chords", "C F#m")
    page.fill("#key", "C major")
    generate(page)
    (clip,) = page.evaluate(CLIPS)
    assert (clip["versions"][0]["chords"], clip["versions"][0]["bpm"]) == ("C F#m", 120)
    page.fill("#chords", "C Am7")
    page.click("#generate")
    page.wait_for_selector("text=got chord 'Am7'")


def test_generate_edit_a_rectangle_undo_and_reload(page: Any) -> None:
    generate(page)
    assert int(page.evaluate("document.body.dataset.firstSoundMs")) > 0
    select(page, 0.25, 0.3, 0.6, 0.7)
    assert "of 528 tokens will be regenerated" in page.inner_text("#region-text")
    page.fill("#edit-prompt", "loud drums")
    page.click("#regenerate")
    settle(page)
    (clip,) = page.evaluate(CLIPS)
    before, after = clip["versions"]
    region = after["region"]
    frames, bands = before["frames"], before["bands"]
    changed = {
        divmod(at, frames)
        for at, (old, new) in enumerate(zip(before["codes"], after["codes"], strict=True))
        if old != new
    }
    inside = {
        (band, frame)
        for band in range(region["low"], region["high"])
        for frame in range(region["first"], region["last"])
    }
    assert changed
    assert changed <= inside != {(b, f) for b in range(bands) for f in range(frames)}
    assert f"{528 - len(inside)} tokens outside the region are unchanged" in page.inner_text(
        "#region-text"
    )
    page.keyboard.press("Escape")
    page.click("#undo")
    assert page.evaluate(CLIPS)[0]["current"] == 0
    page.click("#redo")
    page.click("#compare")
    assert page.get_attribute("#compare", "aria-pressed") == "true"
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.inner_text("#title") == "calm piano"
    assert page.locator("#versions [role=radio]").count() == 2
    assert page.evaluate(CLIPS)[0]["current"] == 1


def test_loop_of_the_region(page: Any) -> None:
    generate(page)
    select(page, 0.3, 0.2, 0.4, 0.6)
    low, high = float(page.input_value("#from")), float(page.input_value("#to"))
    page.click("#loop")
    if page.inner_text("#play") == "Play":
        page.click("#play")
    page.wait_for_timeout(1200)  # longer than the region
    at = page.inner_text("#clock").split(" / ")[0]
    assert low - 0.1 <= float(at.split(":")[1]) <= high + 0.1
    assert page.inner_text("#play") == "Pause"


def test_takes_are_kept_or_discarded_and_deleting_can_be_undone(page: Any) -> None:
    generate(page, seconds=1, takes="3")
    assert page.locator("#clips .take").count() == 3
    page.locator("#clips .take").first.get_by_text("Keep").click()
    assert page.locator("#clips .take").count() == 2
    page.locator("#clips .take").first.get_by_text("Discard").click()
    assert page.locator("#clips li").count() == 2
    page.click("#toast button")
    assert page.locator("#clips li").count() == 3
    assert sorted(clip["versions"][0]["seed"] for clip in page.evaluate(CLIPS)) == [1, 2, 3]


def test_continue_to_both_sides(page: Any) -> None:
    generate(page, seconds=1)
    page.fill("#more", "1")
    page.click("#continue-form [value=right]")
    settle(page)
    page.click("#continue-form [value=left]")
    settle(page)
    first, longer, longest = page.evaluate(CLIPS)[0]["versions"]
    assert (first["frames"], longer["frames"], longest["frames"]) == (11, 22, 33)
    row = longer["codes"][:22]
    assert row[:11] == first["codes"][:11]
    assert longest["codes"][11:33] == row


def test_open_a_file_compare_and_download(page: Any, song: bytes, tmp_path: Path) -> None:
    path = tmp_path / "my song.wav"
    path.write_bytes(song)
    page.set_input_files("#file", path)
    settle(page)
    page.wait_for_selector("#versions [role=radio]")
    assert [one["kind"] for one in page.evaluate(CLIPS)[0]["versions"]] == [
        "original",
        "reconstruction",
    ]
    page.click("#compare")
    for suffix, frames in (("wav", 88_200), ("flac", 88_200), ("btk", None)):
        with page.expect_download() as download:
            page.click(f"#downloads [value={suffix}]")
        assert download.value.suggested_filename == f"my-song.{suffix}"
        content = Path(download.value.path()).read_bytes()
        if frames:
            assert soundfile.info(io.BytesIO(content)).frames == frames
    (tmp_path / "again.btk").write_bytes(content)
    page.set_input_files("#file", tmp_path / "again.btk")
    page.locator("#title", has_text="again.btk").wait_for()


def test_files_that_cannot_be_opened(page: Any, tmp_path: Path) -> None:
    for name, content, message in (
        ("notes.wav", b"no sound", "cannot read the upload as audio"),
        ("large.wav", bytes((1 << 20) + 1), "at most 1 MiB"),
    ):
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#file", tmp_path / name)
        page.get_by_role("alert").get_by_text(message).wait_for()
        settle(page)
    assert page.evaluate(CLIPS) == []


def test_cancel_and_busy(page: Any, app: FastAPI, gate: Gate) -> None:
    page.fill("#duration", "1")
    page.click("#generate")
    wait_until(gate.entered.is_set)
    page.click("#cancel")
    settle(page)
    wait_until(lambda: gate.ended == 1)
    assert not page.is_visible("#notice")
    queue = app.state.service.queue
    for _ in range(queue.size + 1):
        app.state.service.submit(lambda job: gate.opened.wait(20))
        wait_until(lambda: queue.busy)
    page.click("#generate")
    page.get_by_role("alert").get_by_text("the server is busy").wait_for()
    gate.opened.set()


def test_keyboard_and_labels(page: Any) -> None:
    generate(page, seconds=2)
    page.focus("#overlay")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("ArrowDown")
    assert "15 bands × 10 frames" in page.inner_text("#region-text")
    page.keyboard.press("Escape")
    assert page.input_value("#from") == ""
    page.fill("#low", "2000")
    page.press("#low", "Tab")
    assert page.input_value("#low") == "1681", "the edge of the band that holds 2 kHz"
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, textarea, select")]
             .filter((one) => !one.textContent.trim() && !one.ariaLabel && !one.labels?.length)
             .map((one) => one.id)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_widths_and_themes(page: Any, width: int, theme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    while page.inner_text("#theme") != f"Theme: {theme}":
        page.click("#theme")
    generate(page, seconds=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper, ink = page.evaluate(
        "() => { const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]; }"
    )
    assert (brightness(paper) > brightness(ink)) == (theme == "light")


def brightness(color: str) -> int:
    return sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))


def test_the_page_of_the_api_lists_every_route(page: Any, app: FastAPI, url: str) -> None:
    page.goto(f"{url}/docs")
    page.get_by_text("/v1/generate", exact=True).wait_for()
    shown = set(page.locator("summary code").all_inner_texts())
    assert shown == set(app.openapi()["paths"])
