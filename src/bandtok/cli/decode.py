"""`bandtok decode`: token files -> audio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import bandtok
from bandtok.cli import options
from bandtok.cli.batch import BatchOptions, Done, Job, plan_jobs, run_jobs
from bandtok.cli.console import Report, format_time
from bandtok.cli.suffixes import AUDIO_OUTPUTS, TOKEN_SUFFIX
from bandtok.errors import GridError
from bandtok.provenance import of_extra

if TYPE_CHECKING:
    from bandtok.tokens.grid import TokenGrid

Force = Annotated[
    bool, typer.Option("--force", help="Decode tokens even if another model made them.")
]
Start = Annotated[
    float, typer.Option("--start", metavar="SECONDS", min=0, help="Decode from here on.")
]
End = Annotated[
    float | None, typer.Option("--end", metavar="SECONDS", min=0, help="Decode up to here.")
]
Mono = Annotated[
    bool, typer.Option("--mono", help="Decode stereo tokens to one channel, their mean.")
]


def decode(
    inputs: options.TokenInputs,
    output: options.Output,
    model: options.Model = None,
    vocoder: options.Vocoder = None,
    device: options.ChosenDevice = options.Device.AUTO,
    backend: options.ChosenBackend = options.Backend.AUTO,
    threads: options.Threads = None,
    format: options.FolderFormat = options.AudioFormat.WAV,
    sample_format: options.Samples = options.SampleFormat.INT,
    start: Start = 0.0,
    end: End = None,
    mono: Mono = False,
    force: Force = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Turn token files into audio (.wav, .flac, .ogg or .mp3, by suffix)."""
    from bandtok.signal.audio_writer import AudioWriter

    plan = plan_jobs(
        inputs,
        output,
        suffixes={TOKEN_SUFFIX},
        output_suffix=f".{format.value}",
        allowed_outputs=AUDIO_OUTPUTS,
    )
    options.check_sample_format((job.target for job in plan.jobs), sample_format)
    tokenizer = bandtok.Tokenizer.from_pretrained(
        model, vocoder=vocoder, device=device.value, backend=backend.value, threads=threads
    )

    def work(job: Job, report: Report) -> Done:
        loaded = bandtok.TokenGrid.load(job.source)
        grid = loaded.mono() if mono else loaded
        wanted = _range(grid, start, end)
        samples = 0
        marked = of_extra(grid.extra)
        with AudioWriter(
            job.target, tokenizer.sample_rate, grid.channels, sample_format.value, marked
        ) as writer:
            for block in tokenizer.decode_stream(grid, force=force, samples=wanted):
                writer.write(block)
                samples += block.shape[1]
                report(samples, wanted[1] - wanted[0])
        options.warn_of_limited(writer.limited_samples, job.target, quiet)
        seconds = samples / tokenizer.sample_rate
        return Done(
            values={
                "seconds": seconds,
                "sample_rate": tokenizer.sample_rate,
                "channels": grid.channels,
                "limited_samples": writer.limited_samples,
            },
            line=format_time(seconds),
        )

    run_jobs(plan, work, BatchOptions(overwrite=overwrite, quiet=quiet, json=json), "decoding")


def _range(grid: TokenGrid, start: float, end: float | None) -> tuple[int, int]:
    """Return the samples wanted; the range is cut to the grid, but must lie in it somewhere."""
    assert grid.num_samples is not None
    first = round(start * grid.sample_rate)
    last = grid.num_samples if end is None else min(round(end * grid.sample_rate), grid.num_samples)
    if first > last or (first == last and first):
        raise GridError(
            f"got --start {start:g} and --end {grid.seconds if end is None else end:g}; expected a "
            f"range inside the piece's {grid.seconds:g} s"
        )
    return first, last
