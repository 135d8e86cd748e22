"""`bandtok evaluate`: measure reconstructions, generated clips and tokens, write a report."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bandtok.cli import options
from bandtok.cli.console import print_json, progress_bars
from bandtok.cli.examples import epilog
from bandtok.cli.group import Command, Group
from bandtok.cli.suffixes import TOKEN_SUFFIX

if TYPE_CHECKING:
    from bandtok.evaluation.excerpts import Excerpt
    from bandtok.evaluation.prompts import ControlPrompt
    from bandtok.evaluation.tokens import TokenReport
    from bandtok.signal.audio import Audio

app = typer.Typer(
    name="evaluate",
    cls=Group,
    help="Measure reconstructions, generated clips and tokens.",
    no_args_is_help=True,
    add_completion=False,
)

_WIDTH_OF_FILES = 160  # a table that goes to a file or a pipe is not folded
# The names of `bandtok.evaluation.systems.ALL_SYSTEMS`, whose module brings torch along.
SYSTEM_NAMES = (
    "bandtok",
    "griffin-lim",
    "textbook-griffin-lim",
    "refined",
    "mel-only",
    "vocoder-only",
    "griffin-lim-only",
)


class UsageOf(StrEnum):
    """What codebook usage is counted on."""

    FULL = "full"
    EXCERPTS = "excerpts"


Corpus = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="manifest.jsonl, its folder, or a folder of audio."),
]
Out = Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")]
Split = Annotated[
    str, typer.Option("--split", help="train, valid, test, unseen, or all for every track.")
]


@app.command(cls=Command, epilog=epilog("evaluate reconstruction"))
def reconstruction(
    data: Corpus,
    out: Out,
    model: options.Model = None,
    vocoder: options.Vocoder = None,
    split: Split = "test",
    seconds: Annotated[
        float, typer.Option("--duration", metavar="SECONDS", help="Length of a clip.")
    ] = 10.0,
    per_track: Annotated[int, typer.Option("--per-track", min=1, help="Clips of a track.")] = 1,
    max_clips: Annotated[
        int | None, typer.Option("--max-clips", min=1, help="At most this many clips.")
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option("--system", help=f"Repeatable, of: {', '.join(SYSTEM_NAMES)}."),
    ] = None,
    visqol: Annotated[
        int, typer.Option("--visqol", min=0, help="Rate this many clips by ViSQOL (slow).")
    ] = 0,
    usage: Annotated[
        UsageOf, typer.Option("--usage", help="Count codes of whole tracks or of the clips.")
    ] = UsageOf.EXCERPTS,
    frechet: Annotated[
        bool,
        typer.Option("--frechet", help="Add the Frechet distance on musicnn embeddings."),
    ] = False,
    si_sdr: Annotated[
        bool,
        typer.Option("--si-sdr", help="Add SI-SDR, for codecs that keep the phase."),
    ] = False,
    system_audio: Annotated[
        list[str] | None,
        typer.Option(
            "--system-audio",
            metavar="NAME=FOLDER",
            help="Measure another program's reconstructions; repeatable.",
        ),
    ] = None,
    save_audio: Annotated[
        Path | None,
        typer.Option(
            "--save-audio", metavar="DIR", help="Write originals and reconstructions as audio."
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--num-workers", min=1, help="Clips at a time.")] = 1,
    device: options.ChosenDevice = options.Device.AUTO,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Compare original and reconstruction, and show where in the chain the error arises."""
    from bandtok.api.tokenizer import Tokenizer
    from bandtok.data.manifest import manifest_folder
    from bandtok.evaluation.corpus import ReconstructionSettings, evaluate_reconstruction
    from bandtok.evaluation.reconstruction_tables import mean_tables
    from bandtok.evaluation.report import write_reconstruction_report
    from bandtok.evaluation.system_audio import parse_system_audio, save_system_audio
    from bandtok.evaluation.systems import DEFAULT_SYSTEMS

    tokenizer = Tokenizer.from_pretrained(model, vocoder=vocoder, device=device.value)
    settings = ReconstructionSettings(
        split=None if split == "all" else split,
        excerpt_seconds=seconds,
        excerpts_per_track=per_track,
        max_clips=max_clips,
        systems=tuple(system or DEFAULT_SYSTEMS),
        visqol_clips=visqol,
        usage=usage.value,
        frechet=frechet,
        si_sdr=si_sdr,
        system_audio=tuple(parse_system_audio(text) for text in system_audio or ()),
    )

    def keep(name: str, excerpt: Excerpt, audio: Audio) -> None:
        if save_audio:
            save_system_audio(save_audio, name, excerpt, audio)

    with progress_bars(quiet) as bars, bars.task("measuring") as advance:
        report = evaluate_reconstruction(
            data,
            tokenizer,
            settings,
            workers=workers,
            progress=advance,
            keep_audio=keep,
        )
    files = write_reconstruction_report(report, out, tokenizer, manifest_folder(data))
    _warn(report.left_out)
    if as_json:
        print_json(asdict(report))
    else:
        for title, rows in mean_tables(report):
            print_table(rows, title)
        print_files(files, quiet)


@app.command(cls=Command, epilog=epilog("evaluate generation"))
def generation(
    clips: Annotated[Path, typer.Argument(metavar="CLIPS", help="Folder of generated audio.")],
    reference: Annotated[
        Path, typer.Option("--reference", help="Folder of audio or corpus to compare with.")
    ],
    out: Out,
    split: Split = "test",
    prompts: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="Prompts of the clips; 'bundled' or 'musiccaps': a fixed set.",
        ),
    ] = None,
    train: Annotated[
        Path | None, typer.Option("--train", help="Token shards to look for copies in.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also measure noise, wrong orders and real music.")
    ] = False,
    embedder: Annotated[
        str,
        typer.Option(
            "--embedder",
            help="musicnn, aisfx, clap:FOLDER_OR_HUB_ID, or vggish:FOLDER_FILE_OR_HUB_ID.",
        ),
    ] = "musicnn",
    clap: Annotated[
        str | None,
        typer.Option("--clap", help="Folder or hub id of a CLAP model to score prompts with."),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--duration", metavar="SECONDS", help="Cut all clips to this; their median if not."
        ),
    ] = None,
    max_clips: Annotated[
        int | None, typer.Option("--max-clips", min=1, help="At most this many clips.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed.")] = 0,
    model: options.Model = None,
    device: options.ChosenDevice = options.Device.AUTO,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Compare generated clips with real music and with their prompts, and look for copies."""
    from bandtok.api.tokenizer import Tokenizer
    from bandtok.evaluation.generation import GenerationSettings, evaluate_generation
    from bandtok.evaluation.generation_tables import (
        coded_rows,
        control_rows,
        drift_rows,
        generation_rows,
    )
    from bandtok.evaluation.report import write_generation_report

    settings = GenerationSettings(
        split=None if split == "all" else split,
        seconds=seconds,
        max_clips=max_clips,
        embedder=embedder,
        baselines=baselines,
        clap=clap,
        seed=seed,
    )
    needed = baselines or any(clips.rglob(f"*{TOKEN_SUFFIX}"))
    tokenizer = Tokenizer.from_pretrained(model, device=device.value) if needed else None
    with progress_bars(quiet) as bars, bars.task("measuring") as advance:
        report = evaluate_generation(
            clips,
            reference,
            settings,
            prompts=_control_prompts(prompts),
            train=train,
            tokenizer=tokenizer,
            progress=advance,
        )
    files = write_generation_report(report, out)
    _warn(report.left_out)
    if as_json:
        print_json(asdict(report))
        return
    print_table([row[:-1] for row in generation_rows(report)])
    if report.coded:
        print_table([row[:-1] for row in coded_rows(report)], "Both sides through the tokenizer")
    if drift := drift_rows(report):
        print_table(drift, "Long clips: the end compared with the beginning")
    if report.control:
        print_table(control_rows(report.control), "Text control")
    if report.control_msd:
        print_table(control_rows(report.control_msd), "Text control by the MSD tagger")
    print_files(files, quiet)


@app.command(cls=Command, epilog=epilog("evaluate tokens"))
def tokens(
    data: Corpus,
    out: Out,
    model: options.Model = None,
    split: Split = "test",
    lm: Annotated[
        str | None,
        typer.Option(
            "--lm",
            metavar="NAME_OR_PATH",
            help="Music model that scores the tokens; 'bundled': the bundled one.",
        ),
    ] = None,
    lm_windows: Annotated[
        int | None, typer.Option("--lm-windows", min=1, help="It scores exactly this many windows.")
    ] = None,
    max_frames: Annotated[
        int | None,
        typer.Option(
            "--max-frames", min=2, help="Mutual information counts exactly this many frames."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Random seed.")] = 0,
    device: options.ChosenDevice = options.Device.AUTO,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Measure the tokens of whole tracks: usage of codes and mutual information between rows."""
    from bandtok.api.tokenizer import Tokenizer
    from bandtok.evaluation.report import write_token_report
    from bandtok.evaluation.tokens import TokenSettings, evaluate_tokens
    from bandtok.model_specs import LM_SPEC
    from bandtok.torch_checkpoint import load_network

    settings = TokenSettings(
        split=None if split == "all" else split,
        max_frames=max_frames,
        lm_windows=lm_windows,
        seed=seed,
    )
    tokenizer = Tokenizer.from_pretrained(model, device=device.value)
    bundled = None if lm == "bundled" else lm
    network = load_network(LM_SPEC, bundled, tokenizer.device) if lm else None
    with progress_bars(quiet) as bars, bars.task("measuring") as advance:
        report = evaluate_tokens(
            data,
            tokenizer,
            settings,
            language_model=network,
            language_model_name=bundled or "",
            progress=advance,
        )
    files = write_token_report(report, out)
    _warn(report.left_out)
    if as_json:
        print_json(asdict(report))
    else:
        _print_token_tables(report)
        print_files(files, quiet)


def _control_prompts(name: str | None) -> list[ControlPrompt] | None:
    if name is None:
        return None
    from bandtok.evaluation.prompts import named_prompts

    return named_prompts(name)


def _print_token_tables(report: TokenReport) -> None:
    from bandtok.evaluation.report import usage_table
    from bandtok.evaluation.token_tables import dependence_table, language_model_table

    print_table(usage_table(report.usage))
    if report.dependence:
        print_table(dependence_table(report.dependence))
    if report.language_model:
        print_table(language_model_table(report))


def _warn(left_out: tuple[str, ...]) -> None:
    for line in left_out:
        typer.echo(f"left out {line}", err=True)


def print_table(rows: list[list[str]], title: str | None = None) -> None:
    """Print rows, the first of which names the columns, as a table on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], title=title)
    for row in rows[1:]:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    console.print(table)


def print_files(files: list[Path], quiet: bool) -> None:
    """Print one path per line, unless `quiet`."""
    if not quiet:
        for file in files:
            typer.echo(str(file))
