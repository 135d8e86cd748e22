"""Ablations of the tokenizer, one changed at a time, same steps and same music for each.

    python -m research.benchmarks.ablations --data CORPUS --runs DIR [--group NAME ...] [--write \
        FILE.md]

The base is the recipe `probe`, from random weights. Runs that are complete in DIR are read, not
run again, so a stopped set goes on where it was. Distances are means over 48 fixed crops of the
corpus's valid split.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bandtok.errors import TrainingError
from bandtok.tokens import atomic
from research.claims.ablations import GROUPS, Ablation
from research.claims.training import train_once

_COLUMNS = {
    "mel_loss_below_15_khz": ("mel < 15 kHz", ".4f"),
    "mel_loss": ("all bins", ".4f"),
    "loud_mel_loss": ("loud cells", ".4f"),
    "flicker": ("flicker", ".3f"),
    "grain": ("grain", ".3f"),
    "codes_used": ("codes used", ".0f"),
    "entropy_bits": ("entropy, bits", ".2f"),
    "minutes": ("minutes", ".1f"),
}


def measure(ablation: Ablation, data: Path, runs: Path, extra: Mapping[str, str]) -> dict[str, Any]:
    """Train an ablation, unless that was done before, and return its last validation."""
    return train_once(
        "tokenizer",
        "probe",
        data=data,
        out=runs / ablation.name,
        settings={**ablation.settings, **extra},
    )


def table(rows: Sequence[tuple[Ablation, Mapping[str, Any]]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    heads = [head for head, _ in _COLUMNS.values()]
    yield "| " + " | ".join(["ablation", *heads, "settings"]) + " |"
    yield "|" + " --- |" * (len(heads) + 2)
    for ablation, numbers in rows:
        cells = [
            format(numbers[key], kind) if key in numbers else "–"
            for key, (_, kind) in _COLUMNS.items()
        ]
        shown = " ".join(f"{name}={value}" for name, value in ablation.settings.items())
        yield ("| " + " | ".join([ablation.name, *cells, shown and f"`{shown}`"]) + " |")


def page(groups: Sequence[str], data: Path, runs: Path, extra: Mapping[str, str]) -> str:
    """Run the groups and return the page with a table for each."""
    lines = [
        "# Ablations of the tokenizer",
        "",
        "Made by `python -m research.benchmarks.ablations`: the recipe `probe` (a quarter of the default's "  # noqa: E501
        "arithmetic, 300 steps, random weights at the start, seed 0), one thing changed at a time. "
        "Flicker and grain: mean |difference of ln-mel| between neighboring frames and bins over "
        "the original's (1 is right, plain L1 blurs). One run a row: differences under about .002 "
        "are within what another seed does.",
    ]
    if extra:
        lines[-1] += " All rows with " + " ".join(f"`{k}={v}`" for k, v in extra.items()) + "."
    for group in groups:
        rows = []
        for ablation in GROUPS[group]:
            print(f"{group}: {ablation.name}", file=sys.stderr, flush=True)
            rows.append((ablation, measure(ablation, data, runs, extra)))
        lines += ["", f"## {group}", "", *table(rows)]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus or folder of audio")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--group", action="append", choices=GROUPS, help="default: all")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--write", type=Path, help="Markdown page to write")
    options = parser.parse_args()
    extra = dict(pair.split("=", 1) for pair in options.set)
    try:
        text = page(options.group or list(GROUPS), options.data, options.runs, extra)
    except TrainingError as error:
        sys.exit(str(error))
    print(text)
    if options.write:
        atomic.write_text(options.write, text)


if __name__ == "__main__":
    main()
