"""The tools of the Model Context Protocol, called by the package's own client."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import bandtok

mcp = pytest.importorskip("mcp", reason="needs bandtok[mcp]")


@pytest.fixture
def call(model: bandtok.MusicModel, tmp_path: Path) -> Any:
    """Return a function that calls a tool: (text, whether it failed)."""
    from bandtok.server.mcp import create_server  # noqa: PLC0415  # needs the extra

    server = create_server(model, tmp_path)

    async def one(name: str, arguments: dict[str, Any]) -> tuple[str, bool]:
        async with mcp.Client(server) as client:
            result = await client.call_tool(name, arguments)
            return result.content[0].text, result.is_error

    return lambda name, **arguments: asyncio.run(one(name, arguments))


def test_tools_write_files(call: Any, tmp_path: Path) -> None:
    text, failed = call("generate", prompt="calm piano", output="a.wav", seconds=0.5, seed=3)
    assert not failed, text
    assert "seed 3" in text
    assert not call("edit", source="a.btk", region="0.1-0.3", output="b.flac")[1]
    assert not call("encode", source="b.flac", output="c.btk")[1]
    assert not call("decode", source="c.btk", output="d.mp3")[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("a.btk", "a.wav", "b.btk", "b.flac", "c.btk", "d.mp3")
    ]
    made = bandtok.Audio.load(tmp_path / "d.mp3").provenance
    assert made is not None
    assert made["operation"] == "edit"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": "../a.wav"}, "expected the name of a file in the folder"),
        ({"output": "/tmp/a.wav"}, "expected the name of a file in the folder"),
        ({"output": "a.txt"}, "expected a name that ends in"),
        ({"output": "link.wav"}, "leads out of the folder"),
        ({"output": "a.wav", "continue_from": "none.wav"}, "no such file: 'none.wav'"),
        ({"output": "a.wav", "continue_from": "link.wav"}, "leads out of the folder"),
        ({"output": "a.wav", "seconds": 1e9}, "seconds"),
    ],
)
def test_faults(call: Any, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    (tmp_path / "link.wav").symlink_to(__file__)
    text, failed = call("generate", **{"prompt": "x", "seconds": 0.5} | arguments)
    assert failed
    assert message in text
    assert not (tmp_path / "a.wav").exists()
