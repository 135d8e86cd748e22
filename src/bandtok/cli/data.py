"""`bandtok data`: build the open-music corpus, describe a folder of music, tokenise a corpus."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import bandtok
from bandtok.cli.console import Report, print_json, progress_bars
from bandtok.cli.options import ChosenDevice, Device, Json, Model, Quiet
from bandtok.data.manifest import MANIFEST_NAME, SPLITS, Track, save_manifest, scan_folder
from bandtok.data.openmusic import build_corpus
from bandtok.data.shards import tokenize_corpus

app = typer.Typer(help="Build and describe corpora.", no_args_is_help=True)


@app.command()
def openmusic(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the corpus.")],
    packages_from: Annotated[
        Path | None, typer.Option(help="Folder of .deb files to use before fetching any.")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fetch about 20 hours of openly licensed music from Debian packages and describe it."""
    with _steps(quiet) as report:
        corpus = build_corpus(out, packages_from=packages_from, on_progress=report)
    for line in corpus.left_out:
        typer.echo(f"left out {line}", err=True)
    _print_tracks(corpus.tracks, out / MANIFEST_NAME, json)


@app.command()
def manifest(
    folder: Annotated[Path, typer.Argument(help="Folder of audio files.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File; default FOLDER/manifest.jsonl.")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Describe a folder of your own music: length, bandwidth, tags and split of each track."""
    with _steps(quiet) as report:
        tracks = scan_folder(
            folder,
            on_progress=lambda done, total: report("reading", done, total),
            on_skip=lambda line: typer.echo(line, err=True),
        )
    target = out or folder / MANIFEST_NAME
    save_manifest(tracks, target)
    _print_tracks(tracks, target, json)


@app.command()
def tokenize(
    corpus: Annotated[Path, typer.Argument(help="Manifest, or folder of audio files.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the token shards.")],
    offsets: Annotated[
        int,
        typer.Option(help="Shifts by parts of a frame at which each training track is encoded."),
    ] = 1,
    model: Model = None,
    device: ChosenDevice = Device.AUTO,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Encode a corpus into token shards for training a language model; goes on where it stopped."""
    tokenizer = bandtok.Tokenizer.from_pretrained(model, device=device.value)
    with progress_bars(quiet) as bars, bars.task("encoding") as report:
        shards = tokenize_corpus(
            corpus,
            tokenizer,
            out,
            offsets_per_track=offsets,
            progress=report,
            warn=lambda line: typer.echo(line, err=True),
        )
    tokens = sum(shard.num_frames for shard in shards.shards) * shards.tokenizer.num_bands
    if json:
        print_json({"out": str(out), "shards": len(shards.shards), "tokens": tokens})
    else:
        typer.echo(f"{out}: {len(shards.shards)} shards, {tokens:,} tokens")


@contextlib.contextmanager
def _steps(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a reporter of (step, done, in all) that draws one bar a step."""
    with progress_bars(quiet) as bars, contextlib.ExitStack() as tasks:
        steps: dict[str, Report] = {}

        def report(step: str, done: int, total: int) -> None:
            if step not in steps:
                steps[step] = tasks.enter_context(bars.task(step))
            steps[step](done, total)

        yield report


def _print_tracks(tracks: Sequence[Track], manifest_file: Path, json: bool) -> None:
    if json:
        hours = {
            split: sum(track.seconds for track in tracks if track.split == split) / 3600
            for split in SPLITS
        }
        facts = {"manifest": str(manifest_file), "tracks": len(tracks), "hours": hours}
        print_json(facts)
        return
    _print_summary(tracks)
    typer.echo(f"{manifest_file}: {len(tracks)} tracks")


def _print_summary(tracks: Sequence[Track]) -> None:
    splits = [split for split in SPLITS if any(track.split == split for track in tracks)]
    table = Table("package", *splits, "tracks", "hours")
    for package in dict.fromkeys(track.package for track in tracks):
        table.add_row(*_summary_row(package or "-", tracks, splits, package))
    table.add_section()
    table.add_row(*_summary_row("all", tracks, splits, None))
    Console().print(table)


def _summary_row(
    label: str, tracks: Sequence[Track], splits: Sequence[str], package: str | None
) -> list[str]:
    own = [track for track in tracks if package is None or track.package == package]
    hours = [sum(track.seconds for track in own if track.split == split) / 3600 for split in splits]
    return [label, *(f"{value:.2f} h" for value in hours), str(len(own)), f"{sum(hours):.2f}"]
