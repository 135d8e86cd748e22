"""`bandtok decode`: token files -> audio."""

from __future__ import annotations

from typing import Annotated

import typer

import bandtok
from bandtok.audio import AudioWriter
from bandtok.cli import options
from bandtok.cli.batch import BatchOptions, Done, Job, plan_jobs, run_jobs
from bandtok.cli.console import Report, clock
from bandtok.cli.suffixes import AUDIO_OUTPUTS, TOKEN_SUFFIX

Force = Annotated[
    bool, typer.Option("--force", help="Decode tokens even if another model made them.")
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
    format: options.FolderFormat = options.AudioFormat.WAV,
    mono: Mono = False,
    force: Force = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Turn token files into audio (.wav, .flac, .ogg or .mp3, by suffix)."""
    plan = plan_jobs(
        inputs,
        output,
        suffixes={TOKEN_SUFFIX},
        output_suffix=f".{format.value}",
        allowed_outputs=AUDIO_OUTPUTS,
    )
    tokenizer = bandtok.Tokenizer.from_pretrained(model, vocoder=vocoder, device=device.value)

    def work(job: Job, report: Report) -> Done:
        loaded = bandtok.TokenGrid.load(job.source)
        grid = loaded.mono() if mono else loaded
        samples = 0
        with AudioWriter(job.target, tokenizer.sample_rate, grid.channels) as writer:
            for block in tokenizer.decode_stream(grid, force=force):
                writer.write(block)
                samples += block.shape[1]
                report(samples / tokenizer.sample_rate, grid.seconds)
        seconds = samples / tokenizer.sample_rate
        return Done(
            values={
                "seconds": seconds,
                "sample_rate": tokenizer.sample_rate,
                "channels": grid.channels,
            },
            line=clock(seconds),
        )

    run_jobs(plan, work, BatchOptions(overwrite=overwrite, quiet=quiet, json=json), "decoding")
