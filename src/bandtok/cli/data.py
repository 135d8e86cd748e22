"""`bandtok data`: build the open-music corpus, describe a folder of music, tokenize a corpus."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import bandtok
from bandtok.cli.console import echo, print_json, progress_bars, progress_steps, silent_codecs
from bandtok.cli.examples import epilog
from bandtok.cli.group import Command, Group
from bandtok.cli.options import ChosenDevice, Device, Json, Model, Quiet

if TYPE_CHECKING:
    from bandtok.data.manifest import Track
    from bandtok.tagger import Tagger

app = typer.Typer(
    name="data",
    cls=Group,
    help="Build and describe corpora.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command(cls=Command, epilog=epilog("data manifest"))
def manifest(
    folder: Annotated[Path, typer.Argument(help="Folder of audio files.")],
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; default FOLDER/manifest.jsonl.")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Describe a folder of your own music: length, bandwidth, tags and split of each track."""
    from bandtok.data.manifest import MANIFEST_NAME, save_manifest, scan_folder

    target = out or folder / MANIFEST_NAME
    skipped: dict[str, str] = {}
    with progress_steps(quiet) as report:
        tracks = scan_folder(
            folder,
            root=target.parent,
            on_progress=lambda done, total: report("reading", done, total),
            on_skip=skipped.__setitem__,
        )
    save_manifest(tracks, target, skipped)
    print_tracks(tracks, target, json)
    _exit_with([f"skipped {path}: {reason}" for path, reason in skipped.items()], len(tracks))


@app.command(cls=Command, epilog=epilog("data describe"))
def describe(
    corpus: Annotated[Path, typer.Argument(help="Manifest, or folder of audio.")],
    num_workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    no_tagger: Annotated[
        bool, typer.Option("--no-tagger", help="Measure only; do without the pretrained tagger.")
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Describe every 20 s of a corpus, for captions; resumes where it stopped."""
    from bandtok.data.describe import describe_corpus
    from bandtok.data.manifest import manifest_folder
    from bandtok.data.segments import ATTRIBUTES_NAME

    with silent_codecs(), progress_bars(quiet) as bars, bars.task("describing") as report:
        done = describe_corpus(
            corpus,
            load_tagger=None if no_tagger else _load_tagger,
            jobs=num_workers,
            progress=report,
        )
    file = manifest_folder(corpus) / ATTRIBUTES_NAME
    if json:
        print_json({"attributes": str(file), "tracks": done.tracks})
    else:
        typer.echo(f"{file}: {done.tracks} tracks")
    _exit_with(done.left_out, done.tracks)


@app.command(cls=Command, epilog=epilog("data tokenize"))
def tokenize(
    corpora: Annotated[
        list[Path], typer.Argument(help="Manifests, or folders of audio; one or more.")
    ],
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder of the token shards.")],
    offsets: Annotated[
        int,
        typer.Option(help="Shifts by parts of a frame at which each training track is encoded."),
    ] = 1,
    gain_db: Annotated[
        list[float] | None,
        typer.Option(help="Gain of the first, second ... of these; may be given several times."),
    ] = None,
    semitones: Annotated[
        list[int] | None,
        typer.Option(help="Transposition of the first, second ...; may be given several times."),
    ] = None,
    num_workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    model: Model = None,
    device: ChosenDevice = Device.AUTO,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Encode corpora into token shards for training a language model; resumes."""
    from bandtok.data.tokenize import Variants, tokenize_corpus

    load = functools.partial(bandtok.Tokenizer.from_pretrained, model, device=device.value)
    variants = Variants(
        count=offsets, gains_db=tuple(gain_db or (0.0,)), semitones=tuple(semitones or (0,))
    )
    left_out: list[str] = []
    with silent_codecs(), progress_bars(quiet) as bars, bars.task("encoding") as report:
        shards = tokenize_corpus(
            corpora,
            load(),
            out,
            variants=variants,
            jobs=num_workers,
            load_tokenizer=load,
            progress=report,
            warn=left_out.append,
        )
    tokens = sum(shard.num_frames for shard in shards.shards) * shards.tokenizer.num_bands
    if json:
        print_json({"out": str(out), "shards": len(shards.shards), "tokens": tokens})
    else:
        typer.echo(f"{out}: {len(shards.shards)} shards, {tokens:,} tokens")
    _exit_with(left_out, len(shards.shards))


@app.command(cls=Command, epilog=epilog("data captions"))
def captions(
    shards: Annotated[Path, typer.Argument(help="Folder of token shards.")],
    split: Annotated[str, typer.Option(help="train, valid, test or unseen.")] = "train",
    count: Annotated[int, typer.Option(min=1, help="Windows, spread evenly over the split.")] = 20,
    frames: Annotated[int, typer.Option(min=2, help="Length of a window.")] = 96,
    source: Annotated[
        str | None, typer.Option(help="Only of tracks from this package, e.g. rendered.")
    ] = None,
    vary: Annotated[
        int | None,
        typer.Option(min=0, metavar="SEED", help="Random seed of the wordings used in training."),
    ] = None,
) -> None:
    """Print captions of windows of token shards, one per line, as used in training.

    Without --vary each has all known attributes, in a fixed wording.
    """
    from bandtok.data.captions import split_captions
    from bandtok.data.shards import TokenCorpus

    for caption in split_captions(
        TokenCorpus(shards), split, count, frames=frames, package=source, seed=vary
    ):
        typer.echo(caption)


def _exit_with(left_out: Sequence[str], done: int) -> None:
    """Name what was left out of a corpus; that fails the command, though the rest is done."""
    for line in left_out:
        echo(f"bandtok: {line}", err=True)
    if left_out:
        echo(f"bandtok: {len(left_out)} left out, {done} done", err=True)
        raise typer.Exit(1)


def _load_tagger() -> Tagger:
    from bandtok.tagger import load_tagger

    return load_tagger("msd")


def print_tracks(tracks: Sequence[Track], manifest_file: Path, json: bool) -> None:
    """Print a summary of a corpus, or its tracks as JSON."""
    from bandtok.data.manifest import SPLITS

    if json:
        hours = {
            split: sum(track.seconds for track in tracks if track.split == split) / 3600
            for split in SPLITS
        }
        values = {"manifest": str(manifest_file), "tracks": len(tracks), "hours": hours}
        print_json(values)
        return
    _print_summary(tracks)
    typer.echo(f"{manifest_file}: {len(tracks)} tracks")


def _print_summary(tracks: Sequence[Track]) -> None:
    from rich.console import Console
    from rich.table import Table

    from bandtok.data.manifest import SPLITS

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
