"""`bandtok serve`, as a program: it starts, stops, and leaves no files."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Run

pytest.importorskip("fastapi", reason="needs bandtok[serve]")

Start = Callable[[], tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers whose temporary files go to `tmp_path`."""
    servers = []

    def begin() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "bandtok", "serve", "--port", "0", "--model", "debug"]
        server = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
            # A shell's background jobs, this test run perhaps, ignore interrupts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        servers.append(server)
        assert server.stdout
        url = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        assert url
        return server, url[0]

    yield begin
    for server in servers:
        server.kill()
        server.wait()
        for pipe in (server.stdout, server.stderr):
            if pipe:
                pipe.close()


def request(url: str, body: dict[str, object]) -> None:
    data = json.dumps(body).encode()
    kind = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, kind)) as response:
        response.read()


def test_what_a_killed_server_left_is_removed(start: Start, tmp_path: Path) -> None:
    server, url = start()
    with urllib.request.urlopen(f"{url}/health") as response:
        assert json.load(response)["model"] == "debug"
    thread = threading.Thread(target=_until_closed, args=(url,))
    thread.start()
    (folder,) = tmp_path.glob("bandtok-serve-*")
    (folder / "half.wav").write_bytes(b"half")
    server.kill()
    server.wait()
    thread.join()
    assert folder.exists()
    server, _ = start()
    assert not folder.exists()
    server.send_signal(signal.SIGTERM)
    server.wait(20)
    assert list(tmp_path.glob("bandtok-serve-*")) == []


def test_interrupted_in_the_middle_of_a_request(start: Start, tmp_path: Path) -> None:
    server, url = start()
    thread = threading.Thread(target=_until_closed, args=(url,))
    thread.start()
    for _ in range(1000):
        with urllib.request.urlopen(f"{url}/health") as response:
            if json.load(response)["busy"]:
                break
    server.send_signal(signal.SIGINT)
    assert server.wait(30) == 130
    thread.join()
    assert list(tmp_path.glob("bandtok-serve-*")) == []
    assert server.stderr is not None
    assert server.stderr.read() == ""


def _until_closed(url: str) -> None:
    with pytest.raises(OSError):  # noqa: PT011  # whichever way the connection ends
        request(f"{url}/v1/generate", {"duration": 100})


def test_a_port_in_use_and_a_wrong_option_are_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("serve", "--port", taken.getsockname()[1], "--model", "debug")
    assert result.exit_code == 1
    assert re.fullmatch(r"bandtok: .*[Aa]ddress already in use.*\n", result.stderr)
    assert run("serve", "--port", 70_000).exit_code == 2


def test_without_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("bandtok.server.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = run("serve")
    assert result.exit_code == 1
    assert result.stderr == (
        "bandtok: uvicorn is not installed; run: pip install 'bandtok[serve]'\n"
    )
