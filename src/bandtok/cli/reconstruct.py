"""`bandtok reconstruct`: audio -> tokens -> audio, and how far apart the two are."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import bandtok
from bandtok.cli import options
from bandtok.cli.batch import BatchOptions, Done, Job, plan_jobs, run_jobs
from bandtok.cli.console import Report
from bandtok.cli.encode import describe_grid, mixing_note, one_line_grid
from bandtok.cli.suffixes import AUDIO_INPUTS, AUDIO_OUTPUTS
from bandtok.provenance import of_extra

if TYPE_CHECKING:
    from bandtok.api.tokenizer import Progress, Tokenizer
    from bandtok.evaluation.reconstruction import MelDistance
    from bandtok.signal.audio import Audio
    from bandtok.signal.audio_writer import AudioWriter
    from bandtok.tokens.grid import TokenGrid

_PLOT_SECONDS = 60.0
_MIN_PLOT_SAMPLES = 2048

Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot",
        metavar="P.png",
        help="Plot of the mels of original and reconstruction and of the token grid; a folder for "
        "several inputs.",
    ),
]


def reconstruct(
    inputs: options.AudioInputs,
    output: options.Output,
    plot: Plot = None,
    stereo: options.Stereo = False,
    model: options.Model = None,
    vocoder: options.Vocoder = None,
    device: options.ChosenDevice = options.Device.AUTO,
    backend: options.ChosenBackend = options.Backend.AUTO,
    threads: options.Threads = None,
    format: options.FolderFormat = options.AudioFormat.WAV,
    sample_format: options.Samples = options.SampleFormat.INT,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Encode and decode audio; print bit rate and mel distance (below 0.3 is close)."""
    from bandtok.signal.audio import probe_audio
    from bandtok.signal.audio_writer import AudioWriter

    plan = plan_jobs(
        inputs,
        output,
        suffixes=AUDIO_INPUTS,
        output_suffix=f".{format.value}",
        allowed_outputs=AUDIO_OUTPUTS,
    )
    if plot is not None and not plan.many and plot.suffix.lower() != ".png":
        raise typer.BadParameter(f"the picture {plot} must end in .png")
    options.check_sample_format((job.target for job in plan.jobs), sample_format)
    if plot is not None:
        # A missing extra shows before the work, not after it.
        from bandtok.evaluation import plots  # noqa: F401
    tokenizer = bandtok.Tokenizer.from_pretrained(
        model, vocoder=vocoder, device=device.value, backend=backend.value, threads=threads
    )

    def work(job: Job, report: Report) -> Done:
        grid = tokenizer.encode(
            job.source, progress=lambda done, all: report(done, 2 * all), stereo=stereo
        )
        marked = of_extra(grid.extra)
        with AudioWriter(
            job.target, tokenizer.sample_rate, grid.channels, sample_format.value, marked
        ) as writer:
            distance = _decode_and_measure(
                tokenizer, grid, job.source, writer, lambda done, all: report(done + all, 2 * all)
            )
        options.warn_of_limited(writer.limited_samples, job.target, quiet)
        channels = probe_audio(job.source).channels
        values = {
            **describe_grid(grid),
            "source_channels": channels,
            "limited_samples": writer.limited_samples,
            "mel_distance": None if distance is None else dataclasses.asdict(distance),
        }
        if plot is not None:
            picture = _picture_path(plot, job, output, plan.many)
            bands = tokenizer.config.rows_are_bands
            values["plot"] = str(picture) if _draw(picture, job, grid, bands) else None
        line = f"{one_line_grid(grid)}, {_distance_note(distance)}"
        line += mixing_note(channels, grid)
        return Done(values=values, line=line)

    run_jobs(
        plan, work, BatchOptions(overwrite=overwrite, quiet=quiet, json=json), "reconstructing"
    )


def _picture_path(plot: Path, job: Job, output: Path, many: bool) -> Path:
    path = plot / job.target.relative_to(output).with_suffix(".png") if many else plot
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _distance_note(distance: MelDistance | None) -> str:
    if distance is None:
        return "too short for a mel distance"
    return (
        f"mel distance {distance.all_bins:.3f} "
        f"({distance.below:.3f} below {distance.below_hz / 1000:.0f} kHz)"
    )


def _decode_and_measure(
    tokenizer: Tokenizer, grid: TokenGrid, path: Path, writer: AudioWriter, report: Progress
) -> MelDistance | None:
    """Write the decoded audio and compare it with the source on the way, in bounded memory.

    Of stereo, each channel is compared with its own, and the mean is returned.
    """
    import numpy as np

    from bandtok.evaluation.reconstruction import MelDistanceMeter
    from bandtok.signal.audio import stream_audio

    meters = [MelDistanceMeter(tokenizer.sample_rate) for _ in range(grid.channels)]
    source = stream_audio(path, tokenizer.sample_rate, mono=grid.channels == 1)
    reference = np.zeros((1, 0), np.float32)
    for estimate in tokenizer.decode_stream(grid, progress=report):
        writer.write(estimate)
        length = estimate.shape[1]
        while reference.shape[1] < length:
            block = next(source)
            held = np.broadcast_to(reference, (len(block), reference.shape[1]))
            reference = np.concatenate([held, block], axis=1)
        originals = np.broadcast_to(reference, (grid.channels, reference.shape[1]))
        for meter, original, decoded in zip(meters, originals, estimate, strict=True):
            meter.add(original[:length], decoded)
        reference = reference[:, length:]
    return _mean([meter.result() for meter in meters])


def _mean(distances: list[MelDistance | None]) -> MelDistance | None:
    found = [distance for distance in distances if distance is not None]
    if not found:
        return None
    return dataclasses.replace(
        found[0],
        all_bins=sum(distance.all_bins for distance in found) / len(found),
        below=sum(distance.below for distance in found) / len(found),
    )


def _draw(path: Path, job: Job, grid: TokenGrid, rows_are_bands: bool) -> bool:
    """Draw the first minute or less; return whether there was enough to draw."""
    from bandtok.evaluation.plots import plot_reconstruction

    frames = min(grid.num_frames, int(_PLOT_SECONDS * grid.frame_rate))
    samples = min(frames * grid.samples_per_frame, grid.num_samples or 0)
    if samples < _MIN_PLOT_SAMPLES:
        return False
    mono = grid.mono()
    part = dataclasses.replace(mono, codes=mono.codes[:, :frames], num_samples=samples)
    first, second = (
        _beginning(path, samples, grid.sample_rate) for path in (job.source, job.target)
    )
    plot_reconstruction(path, first, second, part, rows_are_bands=rows_are_bands)
    return True


def _beginning(path: Path, samples: int, sample_rate: int) -> Audio:
    """Load the first `samples` of a file as mono, silence where it is a little shorter."""
    import numpy as np

    from bandtok.signal.audio import Audio, stream_audio

    found = np.zeros((1, samples), np.float32)
    filled = 0
    for block in stream_audio(path, sample_rate, mono=True):
        part = block[:, : samples - filled]
        found[:, filled : filled + part.shape[1]] = part
        filled += part.shape[1]
        if filled == samples:
            break
    return Audio(found, sample_rate)
