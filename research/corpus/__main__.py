"""`python -m research.corpus`: build the corpora that the bundled models were trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bandtok.cli.console import progress_steps
from bandtok.cli.data import print_tracks
from bandtok.cli.group import OneLineErrors
from bandtok.cli.options import Json, Quiet
from bandtok.data.manifest import MANIFEST_NAME
from research.corpus.open_packages import PACKAGES
from research.corpus.openmusic import build_corpus
from research.corpus.rendered.corpus import build_rendered

app = typer.Typer(
    cls=OneLineErrors,
    help="Build the corpora that the bundled models were trained on.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command()
def openmusic(
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder of the corpus.")],
    packages_from: Annotated[
        Path | None, typer.Option(help="Folder of .deb files to use before fetching any.")
    ] = None,
    package: Annotated[
        list[str] | None, typer.Option(help="Only this Debian package; may be repeated.")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fetch about 20 hours of openly licensed music (several GB) from Debian packages."""
    chosen = [one for one in PACKAGES if not package or one.name in package]
    if len(chosen) < len(set(package or ())):
        names = ", ".join(one.name for one in PACKAGES)
        raise typer.BadParameter(f"got --package {', '.join(package or ())}; expected {names}")
    with progress_steps(quiet) as report:
        corpus = build_corpus(out, packages_from=packages_from, packages=chosen, on_progress=report)
    for line in corpus.left_out:
        typer.echo(f"left out {line}", err=True)
    print_tracks(corpus.tracks, out / MANIFEST_NAME, json)


@app.command()
def rendered(
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder of the corpus.")],
    hours: Annotated[float, typer.Option(min=0.001, help="Hours of music, at least.")] = 12.0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    num_workers: Annotated[int, typer.Option(min=1, help="Pieces rendered at the same time.")] = 1,
    style: Annotated[
        list[str] | None,
        typer.Option(help="Only pieces of this style; repeatable."),
    ] = None,
    packages_from: Annotated[
        Path | None, typer.Option(help="Folder of .deb and .whl files to use before fetching any.")
    ] = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Render tunes in many styles, all attributes known; goes on where it stopped."""
    with progress_steps(quiet) as report:
        corpus = build_rendered(
            out,
            hours=hours,
            seed=seed,
            jobs=num_workers,
            styles=style or (),
            packages_from=packages_from,
            on_progress=report,
        )
    for line in corpus.left_out:
        typer.echo(f"left out {line}", err=True)
    print_tracks(corpus.tracks, out / MANIFEST_NAME, json)


if __name__ == "__main__":
    app(prog_name="python -m research.corpus")
