"""`python -m research.claims`: claims of the paper tested on a corpus, one command each."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bandtok.cli import options
from bandtok.cli.console import print_json, progress_bars
from bandtok.cli.group import OneLineErrors
from bandtok.training.run import RunReport
from research.claims import catalogue
from research.claims.run import open_store, run_experiments, run_row
from research.claims.scales import scale_named

LIST = "list"

app = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)


class ScaleName(StrEnum):
    """How much is trained."""

    FULL = "full"
    SHORT = "short"
    TINY = "tiny"


@app.command()
def experiment(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Experiments, 'all', or 'list'.", show_default=False
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="CORPUS", help="Folder of audio or manifest.", exists=True),
    ] = None,
    runs: Annotated[
        Path, typer.Option("--runs", metavar="DIR", help="Folder for all that is kept.")
    ] = Path("runs/experiments"),
    out: Annotated[Path, typer.Option("--output", "-o", help="Folder of the results.")] = Path(
        "docs/lab/results"
    ),
    scale: Annotated[ScaleName, typer.Option("--scale", help="The budget.")] = ScaleName.SHORT,
    row: Annotated[
        str | None,
        typer.Option("--row", metavar="ROW", help="Only train this row; 'list' shows them."),
    ] = None,
    listen: Annotated[
        Path | None,
        typer.Option("--listen", metavar="DIR", help="Audio for clips of reconstruction."),
    ] = None,
    quiet: options.Quiet = False,
    as_json: options.Json = False,
) -> None:
    """Test claims of the paper: train what is missing, measure, write result files."""
    if LIST in names:
        _print_list(scale, as_json)
        return
    with progress_bars(quiet) as bars, bars.task("experiment") as progress:
        report = RunReport(
            preparing=lambda done, total: progress(done, total, "reading audio"),
            training=lambda done, total, _: progress(done, total, "training"),
            warn=lambda line: typer.echo(f"bandtok: {line}", err=True),
        )
        say = None if quiet else lambda line: typer.echo(line, err=True)
        store = open_store(data, runs, scale.value, say=say, report=report)
        if row is not None:
            _print_row(run_row(store, row), as_json)
            return
        results = run_experiments(store, names, out, command=_command(scale, data), listen=listen)
    if as_json:
        print_json({"results": [asdict(one) for one in results]})
        return
    for one in results:
        typer.echo(f"{out / one.name}.md: {one.findings.answer}")


def _command(scale: ScaleName, data: Path | None) -> str:
    """Return the command that makes an experiment again, with no path of this machine."""
    corpus = "" if data is None else " --data CORPUS"
    return f"python -m research.claims {{name}}{corpus} --runs RUNS --scale {scale.value}"


def _print_row(trained: Any, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(trained), "folder": str(trained.folder)})
    else:
        typer.echo(f"{trained.folder}: step {trained.steps}, {trained.minutes:.1f} minutes")


def _print_list(scale: ScaleName, as_json: bool) -> None:
    budget = scale_named(scale.value)
    found: list[dict[str, Any]] = [
        {
            "name": one.name,
            "title": one.title,
            "question": one.question,
            "seeds": list(one.seeds(budget)),
            "rows": [row.name for row in one.all_rows(budget)],
            "estimated_minutes": round(catalogue.estimated_minutes(one, budget), 1),
        }
        for one in catalogue.EXPERIMENTS.values()
    ]
    whole = round(catalogue.estimated_minutes_of_all(budget))
    if as_json:
        print_json({"scale": scale.value, "estimated_minutes": whole, "experiments": found})
        return
    table = Table("name", "what", "about minutes", "rows")
    for one in found:
        table.add_row(
            one["name"], one["title"], str(one["estimated_minutes"]), " ".join(one["rows"])
        )
    console = Console()
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    typer.echo(
        f"all at scale {scale.value}, what they share being done once: about {whole} minutes "
        "on two CPU cores"
    )


if __name__ == "__main__":
    app(prog_name="python -m research.claims")
