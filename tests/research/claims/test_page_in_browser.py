"""The page in a real browser: it plays, the line moves, and nothing is fetched or complained of.

Skipped where no Chromium or Chrome is installed.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandtok.pages.clips import ClipGroup, Coding, PageClip
from bandtok.pages.page import PageContent, write_page
from bandtok.signal.audio import Audio
from bandtok.tokens.grid import TokenGrid

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((found for found in map(shutil.which, NAMES) if found), None)
PATIENCE_SECONDS = 120.0

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")


class Browser:
    """Speaks the DevTools protocol over a pair of pipes; events are kept as they come."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self._held, self._number = process, b"", 0
        self.session: str | None = None
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        if self.session:
            message["sessionId"] = self.session
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def evaluate(self, expression: str) -> Any:
        """Return the value of JavaScript, once its promise is kept."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until JavaScript is true."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            time.sleep(0.1)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        end = time.monotonic() + PATIENCE_SECONDS
        while b"\0" not in self._held:
            ready, _, _ = select.select([self._process.stdout], [], [], end - time.monotonic())
            assert ready, "the browser does not answer"
            block = os.read(self._process.stdout.fileno(), 1 << 16)
            assert block, "the browser has ended"
            self._held += block
        message, _, self._held = self._held.partition(b"\0")
        return dict(json.loads(message))


@contextmanager
def opened(page: Path, profile: Path) -> Iterator[Browser]:
    """Open a page without a window, with the DevTools protocol on file descriptors 3 and 4."""
    command = [
        str(BROWSER),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--mute-audio", "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"),
    ]
    pipes = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null'
    with subprocess.Popen(
        ["sh", "-c", pipes, "sh", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            browser = Browser(process)
            target = browser.call("Target.createTarget", url="about:blank")["targetId"]
            attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
            browser.session = attached["sessionId"]
            for domain in ("Runtime", "Log", "Network", "Page"):
                browser.call(f"{domain}.enable")
            browser.call("Page.navigate", url=page.as_uri())
            browser.until("document.readyState === 'complete' && location.protocol === 'file:'")
            yield browser
        finally:
            process.kill()


@pytest.fixture(scope="module", params=list(Coding))
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    codes = np.random.default_rng(0).integers(0, 4096, (16, 43))
    grid = TokenGrid(codes=codes, codebook_size=4096)
    noise = np.random.default_rng(0).standard_normal((1, 43 * 4096)).astype(np.float32)
    audio = Audio(0.05 * noise, 44_100)
    clips = [PageClip(label=label, audio=audio, grid=grid) for label in ("band", "residual")]
    group = ClipGroup(title="A group", clips=clips)
    write_page(PageContent(title="A page", generated=[group, group]), path, request.param)
    return path


def test_the_page_plays_and_asks_for_nothing(page: Path, tmp_path: Path) -> None:
    with opened(page, tmp_path / "profile") as browser:
        players = "[...document.querySelectorAll('audio')]"
        browser.until(f"{players}.every(player => player.readyState >= 1)")
        durations = browser.evaluate(f"{players}.map(player => player.duration)")
        assert durations == pytest.approx([43 * 4096 / 44_100] * 4, abs=0.05)
        assert browser.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        assert browser.evaluate("document.fonts.size") == 0

        browser.evaluate(f"{players}[0].play()")
        browser.until(f"{players}[0].currentTime > 0.2")
        place = "parseFloat(document.querySelector('.playhead').style.left)"
        assert 0 < browser.evaluate(place) <= 100
        browser.evaluate(f"{players}[1].play()")
        assert browser.evaluate(f"{players}.filter(player => !player.paused).length") == 1
        assert browser.evaluate(f"{players}[0].paused")

        browser.evaluate(f"{players}[1].pause(), {players}[2].currentTime = 2")
        browser.until(
            "document.querySelectorAll('figure')[2].querySelector('.playhead').hidden === false"
        )
        browser.call("Emulation.setDeviceMetricsOverride", width=360, height=700,
                     deviceScaleFactor=2, mobile=True)  # fmt: skip
        assert browser.evaluate("document.documentElement.scrollWidth") <= 360

        fetched = [
            e["params"]["request"]["url"] for e in named(browser, "Network.requestWillBeSent")
        ]
        assert {url.partition(":")[0] for url in fetched} <= {"file", "data"}
        assert [url for url in fetched if url.startswith("file:")] == [page.as_uri()]
        assert named(browser, "Runtime.exceptionThrown") == []
        assert named(browser, "Runtime.consoleAPICalled") == []
        assert named(browser, "Log.entryAdded") == []


def test_the_policy_stops_what_is_put_into_the_page(page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "page.html"
    text = page.read_text(encoding="utf-8")
    added = "<script>window.hit = 1</script><img src='http://127.0.0.1:9/x.png'></main>"
    broken.write_text(text.replace("</main>", added), encoding="utf-8")
    with opened(broken, tmp_path / "profile") as browser:
        assert browser.evaluate("window.hit === undefined")
        browser.until("document.images[document.images.length - 1].complete")
        refused = [entry["params"]["entry"]["text"] for entry in named(browser, "Log.entryAdded")]
        assert len(refused) >= 2
        assert all("Content Security Policy" in line for line in refused)


@pytest.mark.slow
def test_versions_switch_at_the_same_position(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((1, 8 * 44_100)).astype(np.float32)
    audio = Audio(0.05 * noise, 44_100)
    clips = [PageClip(label=f"name {n}", audio=audio, measures={"grain": "1"}) for n in range(3)]
    group = ClipGroup(title="An excerpt", clips=clips, switchable=True)
    path = tmp_path / "ab.html"
    write_page(PageContent(title="A page", comparisons=[group]), path, Coding.FLAC)
    with opened(path, tmp_path / "profile") as browser:
        players = "[...document.querySelectorAll('audio')]"
        names = "[...document.querySelectorAll('.version')].map(button => button.textContent)"
        browser.until(f"{players}.every(player => player.readyState >= 1)")
        assert browser.evaluate(names) == ["1 name 0", "2 name 1", "3 name 2"]
        browser.evaluate(f"{players}[0].currentTime = 3, {players}[0].play()")
        press = "document.dispatchEvent(new KeyboardEvent('keydown', {key: '3'}))"
        for switch, target in ((press, 2), ("document.querySelectorAll('.version')[1].click()", 1)):
            browser.evaluate(switch)
            browser.until(f"{players}.every((player, n) => player.paused === (n !== {target}))")
            assert 3 <= browser.evaluate(f"{players}[{target}].currentTime") < 7
            assert browser.evaluate(
                "[...document.querySelectorAll('figure')].findIndex("
                "figure => figure.classList.contains('active'))"
            ) == target  # fmt: skip
        lines = "[...document.querySelectorAll('.playhead')].map(line => line.style.left)"
        assert len(set(browser.evaluate(lines))) == 1

        browser.evaluate("document.querySelector('.blind').click()")
        assert browser.evaluate(f"{players}.every(player => player.paused)")
        assert browser.evaluate(names) == ["Version 1", "Version 2", "Version 3"]
        assert "name" not in browser.evaluate("document.querySelector('.clips').innerText")
        assert browser.evaluate("document.querySelector('.strip').getClientRects().length") == 0
        labels = browser.evaluate(f"{players}.map(player => player.getAttribute('aria-label'))")
        assert labels == ["Version 1", "Version 2", "Version 3"]
        browser.evaluate("document.querySelector('.blind').click()")
        shown = browser.evaluate(names)
        assert [name[0] for name in shown] == ["1", "2", "3"]
        assert sorted(name[2:] for name in shown) == ["name 0", "name 1", "name 2"]
        assert named(browser, "Runtime.exceptionThrown") == named(browser, "Log.entryAdded") == []


def named(browser: Browser, method: str) -> list[dict[str, Any]]:
    return [event for event in browser.events if event.get("method") == method]
