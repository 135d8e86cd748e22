"""`bandtok encode`: audio -> token files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import bandtok
from bandtok.cli import options
from bandtok.cli.batch import BatchOptions, Done, Job, plan_jobs, run_jobs
from bandtok.cli.console import Report, format_time
from bandtok.cli.suffixes import AUDIO_INPUTS, TOKEN_SUFFIX
from bandtok.errors import TokenFileError

if TYPE_CHECKING:
    from pathlib import Path

    from bandtok.tokens.grid import TokenGrid
    from bandtok.tokens.journal import EncodingJournal

_LONG_SECONDS = 900.0  # longer pieces keep a journal, so that an interrupted encoding resumes

Verify = Annotated[bool, typer.Option("--verify", help="Read every token file back and compare.")]


def encode(
    inputs: options.AudioInputs,
    output: options.Output,
    stereo: options.Stereo = False,
    verify: Verify = False,
    model: options.Model = None,
    device: options.ChosenDevice = options.Device.AUTO,
    backend: options.ChosenBackend = options.Backend.AUTO,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Turn audio into token files (.btk)."""
    from bandtok.signal.audio import open_audio

    plan = plan_jobs(
        inputs,
        output,
        suffixes=AUDIO_INPUTS,
        output_suffix=TOKEN_SUFFIX,
        allowed_outputs={TOKEN_SUFFIX},
    )
    tokenizer = bandtok.Tokenizer.from_pretrained(
        model, device=device.value, backend=backend.value, threads=threads
    )

    def work(job: Job, report: Report) -> Done:
        with open_audio(job.source) as reader:
            info = reader.info
            journal = _journal(job, info.seconds, tokenizer.fingerprint)
            grid = tokenizer.encode(reader, progress=report, stereo=stereo, journal=journal)
        grid.save(job.target)
        if verify:
            _read_back(job.target, grid)
        if journal:
            journal.discard()
        values = {**describe_grid(grid), "source_channels": info.channels}
        return Done(values=values, line=one_line_grid(grid) + mixing_note(info.channels, grid))

    run_jobs(plan, work, BatchOptions(overwrite=overwrite, quiet=quiet, json=json), "encoding")


def _journal(job: Job, seconds: float, fingerprint: str) -> EncodingJournal | None:
    """Return where a long piece's codes are kept while they are found; None for a short one."""
    if seconds < _LONG_SECONDS:
        return None
    return bandtok.EncodingJournal.beside(job.target, job.source, fingerprint)


def _read_back(path: Path, grid: TokenGrid) -> None:
    """Raise TokenFileError unless the file holds the grid."""
    import numpy as np

    from bandtok.tokens.token_file import read_token_file

    written = read_token_file(path)
    if not np.array_equal(written.codes, grid.codes) or written.num_samples != grid.num_samples:
        raise TokenFileError(f"{path} does not hold the tokens that were written; encode it again")


def describe_grid(grid: TokenGrid) -> dict[str, object]:
    """Return what --json says about a grid."""
    return {
        "seconds": grid.seconds,
        "channels": grid.channels,
        "bands": grid.num_bands,
        "pan_rows": grid.num_rows - grid.num_bands,
        "frames": grid.num_frames,
        "tokens": grid.num_rows * grid.num_frames,
        "bit_rate_bps": grid.bit_rate_bps,
    }


def mixing_note(channels: int, grid: TokenGrid) -> str:
    """Say what became of a source's channels, where their number changed; "" otherwise."""
    if channels == grid.channels:
        return ""
    if channels == 1:
        return ", mono in the center"
    return f", {channels} channels mixed to mono"


def one_line_grid(grid: TokenGrid) -> str:
    """Return the same for people."""
    return (
        f"{format_time(grid.seconds)}, {grid.num_rows} x {grid.num_frames} tokens, "
        f"{'stereo, ' if grid.channels == 2 else ''}{grid.bit_rate_bps:.0f} bit/s"
    )
