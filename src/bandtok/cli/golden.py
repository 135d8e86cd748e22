"""`bandtok golden`: does this machine do what the machine of the release did?"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import bandtok
from bandtok.cli import options
from bandtok.cli.console import print_json

if TYPE_CHECKING:
    from bandtok.golden import GoldenResult

Vectors = Annotated[
    Path | None, typer.Option("--vectors", metavar="DIR", help="Vectors of your own.", exists=True)
]
Write = Annotated[
    bool, typer.Option("--write", help="Rewrite the vectors in --vectors instead of comparing.")
]


def golden(
    model: options.Model = None,
    vectors: Vectors = None,
    write: Write = False,
    device: options.ChosenDevice = options.Device.AUTO,
    backend: options.ChosenBackend = options.Backend.AUTO,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Compare this machine's tokens and sound with golden vectors; exit code 1 if too far off."""
    if write and vectors is None:
        raise typer.BadParameter("--write needs --vectors: a folder that holds input.flac")
    tokenizer = bandtok.Tokenizer.from_pretrained(
        model, device=device.value, backend=backend.value, threads=threads
    )
    name = Path(model).name if model else "bundled"
    from bandtok.golden import VECTORS, compare_golden, write_golden

    if write and vectors is not None:
        write_golden(tokenizer, name, vectors)
        return
    result = compare_golden(tokenizer, name, vectors or VECTORS)
    if json:
        snr = result.snr_db if math.isfinite(result.snr_db) else None
        print_json({**dataclasses.asdict(result), "snr_db": snr, "passed": result.passed})
    elif not quiet:
        typer.echo(_sentence(result))
    if not result.passed:
        raise typer.Exit(1)


def _sentence(result: GoldenResult) -> str:
    if not result.same_model:
        return f"{result.model}: these vectors were made with other weights"
    outcome = "passed" if result.passed else "FAILED"
    snr = "equal" if math.isinf(result.snr_db) else f"{result.snr_db:.1f} dB from the golden one"
    return (
        f"{result.model}: {outcome}; {result.token_agreement:.3%} of tokens agree, "
        f"decoded waveform {snr}"
    )
