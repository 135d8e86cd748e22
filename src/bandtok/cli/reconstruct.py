"""`bandtok reconstruct`: audio -> tokens -> audio, and how far apart the two are."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import bandtok
from bandtok.audio import Audio, load_audio, probe_audio
from bandtok.cli import options
from bandtok.cli.batch import BatchOptions, Done, Job, plan_jobs, run_jobs
from bandtok.cli.console import Report
from bandtok.cli.encode import describe_grid, mixing_note, one_line_grid
from bandtok.cli.suffixes import AUDIO_INPUTS, AUDIO_OUTPUTS

if TYPE_CHECKING:
    from bandtok.evaluation.reconstruction import MelDistance
    from bandtok.grid import TokenGrid

Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="P.png",
        help="Draw mel before, after and the token grid; a folder for several inputs.",
    ),
]


def reconstruct(
    inputs: options.AudioInputs,
    output: options.Output,
    plot: Plot = None,
    model: options.Model = None,
    vocoder: options.Vocoder = None,
    device: options.ChosenDevice = options.Device.AUTO,
    format: options.FolderFormat = options.AudioFormat.WAV,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Encode and decode audio; print the bit rate and the distance to the original."""
    plan = plan_jobs(
        inputs,
        output,
        suffixes=AUDIO_INPUTS,
        output_suffix=f".{format.value}",
        allowed_outputs=AUDIO_OUTPUTS,
    )
    if plot is not None and not plan.many and plot.suffix.lower() != ".png":
        raise typer.BadParameter(f"the picture {plot} must end in .png")
    tokenizer = bandtok.Tokenizer.from_pretrained(model, vocoder=vocoder, device=device.value)

    def work(job: Job, report: Report) -> Done:
        grid = tokenizer.encode(job.source, progress=lambda done, all: report(done, 2 * all))
        estimate = tokenizer.decode(grid, progress=lambda done, all: report(done + all, 2 * all))
        estimate.save(job.target)
        reference = load_audio(job.source, grid.sample_rate, mono=True)
        distance = _mel_distance(reference, estimate)
        channels = probe_audio(job.source).channels
        values = {
            **describe_grid(grid),
            "source_channels": channels,
            "mel_distance": dataclasses.asdict(distance),
        }
        if plot is not None:
            picture = _picture_path(plot, job, output, plan.many)
            _draw(picture, reference, estimate, grid)
            values["plot"] = str(picture)
        line = (
            f"{one_line_grid(grid)}, mel distance {distance.all_bins:.3f} "
            f"({distance.below:.3f} below {distance.below_hz / 1000:.0f} kHz)"
            f"{mixing_note(channels)}"
        )
        return Done(values=values, line=line)

    run_jobs(
        plan, work, BatchOptions(overwrite=overwrite, quiet=quiet, json=json), "reconstructing"
    )


def _picture_path(plot: Path, job: Job, output: Path, many: bool) -> Path:
    path = plot / job.target.relative_to(output).with_suffix(".png") if many else plot
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# Measuring and drawing bring large libraries along; they are loaded when there is something to do.


def _mel_distance(reference: Audio, estimate: Audio) -> MelDistance:
    module = importlib.import_module("bandtok.evaluation.reconstruction")
    distance: MelDistance = module.mel_distance(reference, estimate)
    return distance


def _draw(path: Path, reference: Audio, estimate: Audio, grid: TokenGrid) -> None:
    module = importlib.import_module("bandtok.evaluation.plots")
    module.plot_reconstruction(path, reference, estimate, grid)
