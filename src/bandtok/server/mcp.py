"""Tools for assistants, over the Model Context Protocol on standard input and output.

Music is passed as files: tools take and return paths inside one folder.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

import bandtok
from bandtok.api.generation_config import DEFAULT_DURATION_SECONDS
from bandtok.errors import BandTokError, ConfigError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
TOKEN_SUFFIX = ".btk"
MAX_SECONDS = 120.0

Arguments = ParamSpec("Arguments")
Prompt = Annotated[str, Field(description="Describes the music.", max_length=4000)]
Source = Annotated[str, Field(description="Audio or .btk file in the folder.")]
Output = Annotated[str, Field(description="New file in the folder: .wav, .flac, .ogg or .mp3.")]
Seed = Annotated[int | None, Field(ge=0, description="Random seed; random if not given.")]
Region = Annotated[str, Field(description="START-END[s][,LOW-HIGH[Hz]], such as 3-6s,2000-8000Hz.")]
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]


def create_server(model: bandtok.MusicModel, folder: Path) -> MCPServer:
    """Return the server; its tools read and write files of `folder` only."""
    server = MCPServer(
        "bandtok",
        version=bandtok.__version__,
        instructions=f"Music from prompts, and edits of music, as files in {folder}. Music is a "
        "grid of tokens, frequency bands by time frames: an edit regenerates a region in seconds "
        "and Hz and keeps all other tokens. Each result is also written as tokens (.btk).",
    )
    files = _Files(folder.resolve())

    @server.tool()
    @_with_messages
    def generate(
        prompt: Prompt,
        output: Output,
        seconds: Seconds = DEFAULT_DURATION_SECONDS,
        bpm: float | None = None,
        key: str | None = None,
        chords: Annotated[str, Field(description="One per bar, such as Am F C G.")] = "",
        seed: Seed = None,
        continue_from: Source | None = None,
    ) -> str:
        """Generate music from a prompt, or continue a file."""
        target, chosen = files.new(output), _seed(seed)
        start = None if continue_from is None else files.old(continue_from)
        clip = model.generate(
            prompt, seconds, chosen, continue_from=start, bpm=bpm, key=key, chords=chords
        )
        return files.save(clip, target, chosen)

    @server.tool()
    @_with_messages
    def edit(
        source: Source, region: Region, output: Output, prompt: Prompt = "", seed: Seed = None
    ) -> str:
        """Regenerate a region of a file and keep the rest."""
        target, chosen = files.new(output), _seed(seed)
        return files.save(model.edit(files.old(source), region, prompt, chosen), target, chosen)

    @server.tool()
    @_with_messages
    def encode(source: Source, output: Annotated[str, Field(description="New .btk file.")]) -> str:
        """Encode audio as tokens."""
        target = files.new(output, (TOKEN_SUFFIX,))
        grid = model.tokenizer.encode(files.old(source))
        grid.save(target)
        return f"{target.name}: {grid!r}"

    @server.tool()
    @_with_messages
    def decode(source: Source, output: Output) -> str:
        """Decode tokens to audio."""
        target = files.new(output)
        audio = model.tokenizer.decode(files.old(source))
        audio.write(target)
        return f"{target.name}: {audio.seconds:.1f} s"

    return server


def _with_messages(tool: Callable[Arguments, str]) -> Callable[Arguments, str]:
    """Let the assistant read the package's own errors; others stay hidden."""

    @functools.wraps(tool)
    def call(*arguments: Arguments.args, **keywords: Arguments.kwargs) -> str:
        try:
            return tool(*arguments, **keywords)
        except BandTokError as error:
            raise ToolError(str(error)) from None

    return call


class _Files:
    """Names of files in one folder, without any path."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def old(self, name: str) -> Path:
        path = self._inside(name)
        if not path.is_file():
            raise ConfigError(f"no such file: {name!r}")
        return path

    def new(self, name: str, suffixes: tuple[str, ...] = AUDIO_SUFFIXES) -> Path:
        path = self._inside(name)
        if path.suffix.lower() not in suffixes:
            raise ConfigError(f"got {name!r}; expected a name that ends in {', '.join(suffixes)}")
        if path.exists() or path.with_suffix(TOKEN_SUFFIX).exists():
            raise ConfigError(f"{name!r} exists; choose another name")
        return path

    def save(self, clip: bandtok.Clip, target: Path, seed: int) -> str:
        clip.audio.write(target)
        clip.grid.save(target.with_suffix(TOKEN_SUFFIX))
        return f"{target.name} and its tokens (.btk): {clip.audio.seconds:.1f} s, seed {seed}"

    def _inside(self, name: str) -> Path:
        path = self._folder / name
        if Path(name).name != name or name.startswith(".") or not name.isprintable():
            raise ConfigError(f"got {name!r:.80}; expected the name of a file in the folder")
        if path.resolve().parent != self._folder:
            raise BandTokError(f"{name!r:.80} leads out of the folder")
        return path


def _seed(seed: int | None) -> int:
    return secrets.randbelow(1 << 31) if seed is None else seed
