"""`python -m research.analysis`: do clips have the instrument and tempo that their prompts name?"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bandtok.api.clip import Clip
from bandtok.api.generation_config import GenerationConfig
from bandtok.api.music_model import MusicModel
from bandtok.cli import options, sampling
from bandtok.cli.console import print_json, progress_bars
from bandtok.cli.evaluate import print_files, print_table
from bandtok.cli.group import OneLineErrors
from bandtok.evaluation.report import write_report
from research.analysis.attribute_control import (
    AttributePrompt,
    AttributeReport,
    AttributeSettings,
    evaluate_attributes,
)
from research.analysis.attribute_tables import accuracy_rows, judged_rows

app = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)


@app.command()
def attributes(
    corpora: Annotated[
        list[Path],
        typer.Argument(metavar="RENDERED...", help="From 'python -m research.corpus rendered'."),
    ],
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")],
    lm: Annotated[
        str | None,
        typer.Option("--lm", metavar="NAME_OR_PATH", help="Music model; the bundled one if not."),
    ] = None,
    clips: Annotated[int, typer.Option("--max-clips", min=1, help="Prompts, one clip each.")] = 120,
    seconds: Annotated[
        float, typer.Option("--duration", metavar="SECONDS", help="Length of a clip.")
    ] = 10.0,
    batch: Annotated[int, typer.Option("--batch-size", min=1, help="Clips side by side.")] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed.")] = 0,
    guidance_scale: sampling.GuidanceScale = GenerationConfig.guidance_scale,
    beat_guidance_scale: sampling.BeatGuidanceScale = GenerationConfig.beat_guidance_scale,
    top_k: sampling.TopK = GenerationConfig.top_k,
    temperature: sampling.Temperature = GenerationConfig.temperature,
    num_candidates: Annotated[
        int, typer.Option("--num-candidates", min=1, help="As for generate.")
    ] = GenerationConfig.num_candidates,
    device: options.ChosenDevice = options.Device.AUTO,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Generate clips for an instrument and a pace each, and measure whether they have them.

    Judges learn from rendered music, whose truth is known, and are tested on held-out pieces of it.
    The clips are kept in a folder "clips" of the report.
    """

    settings = AttributeSettings(
        clips=clips,
        seconds=seconds,
        batch=batch,
        seed=seed,
        generation=GenerationConfig(
            temperature=temperature,
            top_k=top_k,
            guidance_scale=guidance_scale,
            beat_guidance_scale=beat_guidance_scale,
            num_candidates=num_candidates,
        ),
    )
    model = MusicModel.from_pretrained(lm, device=device.value)

    def keep(number: int, prompt: AttributePrompt, clip: Clip) -> None:
        name = f"{number:03d}-{prompt.instrument.replace(' ', '-')}-{prompt.requested.pace}"
        (out / "clips").mkdir(parents=True, exist_ok=True)
        clip.audio.save(out / "clips" / f"{name}.wav")
        clip.grid.save(out / "clips" / f"{name}.btk")

    with progress_bars(quiet) as bars, bars.task("judging") as advance:
        report = evaluate_attributes(
            corpora, model, settings, name=lm or "bundled", progress=advance, keep=keep
        )
    files = write_attribute_report(report, out)
    if as_json:
        print_json(asdict(report))
        return
    print_table(accuracy_rows(report))
    print_files(files, quiet)


def write_attribute_report(report: AttributeReport, folder: str | os.PathLike[str]) -> list[Path]:
    """Write report.json, report.md and report.html; return the files."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    alone, training = report.training
    notes = [
        f"Model: {report.model}. {len(report.clips)} prompts, one clip of "
        f"{report.settings.seconds:g} s each, none left out.",
        f"The classifiers learned from {alone} rendered excerpts of one player, as they are and "
        f"through "
        f"the codec, and for the pace from others too: {training} clips in all. Families: "
        f"{', '.join(report.families)}.",
        "Intervals hold 95 % of resamples of whole pieces.",
    ]
    tables = [("Accuracy", accuracy_rows(report)), ("Clips", judged_rows(report))]
    return write_report(target, "Attribute report", notes, tables, {}, asdict(report))


if __name__ == "__main__":
    app(prog_name="python -m research.analysis")
