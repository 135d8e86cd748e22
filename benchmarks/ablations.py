"""Levers of the tokenizer, one changed at a time, same steps and same music for each.

    python -m benchmarks.ablations --data CORPUS --runs DIR [--group NAME ...] [--write FILE.md]

The base is the recipe `probe`, from random weights. Runs that are complete in DIR are read, not
run again, so a stopped set goes on where it was. Distances are means over 48 fixed crops of the
corpus's valid split.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bandtok import atomic
from bandtok.recipes.run import train
from bandtok.training.loop import read_metrics


@dataclass(frozen=True, kw_only=True)
class Lever:
    """One row: the settings that differ from the base."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)


BASE = Lever(name="base")
GROUPS: dict[str, tuple[Lever, ...]] = {
    "codebook": (
        BASE,
        Lever(name="ema-no-revival", settings={"revive_every": "none"}),
        Lever(name="gradient", settings={"codebook_rule": "gradient"}),
        Lever(
            name="gradient-no-revival",
            settings={"codebook_rule": "gradient", "revive_every": "none"},
        ),
        Lever(name="simvq", settings={"codebook_rule": "simvq"}),
        Lever(name="lattice", settings={"codebook_rule": "lattice", "code_dim": "4"}),
        Lever(name="rotation", settings={"rotation": "true"}),
        Lever(name="start-untrained", settings={"quantize_after": "0"}),
    ),
    "shape": (
        BASE,
        Lever(name="code-dim-8", settings={"code_dim": "8"}),
        Lever(name="code-dim-32", settings={"code_dim": "32"}),
        Lever(
            name="wide-at-quarter",
            settings={"base_channels": "64", "grid_channels": "64"},
        ),
        Lever(
            name="wide-at-grid",
            settings={"base_channels": "32", "grid_channels": "160"},
        ),
        Lever(
            name="heavy-encoder",
            settings={
                "encoder_base_blocks": "3",
                "encoder_grid_blocks": "4",
                "decoder_grid_blocks": "3",
                "decoder_base_blocks": "2",
            },
        ),
        Lever(
            name="no-blocks-at-quarter",
            settings={"encoder_base_blocks": "0", "decoder_base_blocks": "0"},
        ),
    ),
    "loss": (
        BASE,
        Lever(name="loud-0.3", settings={"loud_weight": "0.3"}),
        Lever(name="loud-1", settings={"loud_weight": "1.0"}),
        Lever(name="smooth-0.1", settings={"smoothness_weight": "0.1"}),
        Lever(name="predict-0.3", settings={"prediction_weight": "0.3"}),
        Lever(name="predict-1", settings={"prediction_weight": "1.0"}),
    ),
    "data": (
        BASE,
        Lever(name="wide-gain", settings={"gain_db": "[-24, 12]"}),
        Lever(name="speed", settings={"speed": "[0.8, 1.25]"}),
        Lever(name="synthetic-10", settings={"synthetic_share": "0.1"}),
        Lever(name="full-bandwidth", settings={"bandwidth_power": "3.0"}),
    ),
    "mechanics": (
        BASE,
        Lever(name="batch-12-half-crops", settings={"batch_size": "12", "crop_mel_frames": "64"}),
        Lever(name="batch-3-double-crops", settings={"batch_size": "3", "crop_mel_frames": "256"}),
        Lever(name="rate-halved", settings={"learning_rate": "5e-4"}),
        Lever(name="rate-doubled", settings={"learning_rate": "2e-3"}),
        Lever(name="no-weight-averaging", settings={"ema_decay": "0.0"}),
    ),
    "judges": (
        BASE,
        *(
            Lever(
                name=f"judges-{scales}",
                settings={"num_scales": str(scales), "adversarial_after": "150"},
            )
            for scales in (1, 3)
        ),
    ),
}
_COLUMNS = {
    "mel_loss_below_15_khz": ("mel < 15 kHz", ".4f"),
    "mel_loss": ("all bins", ".4f"),
    "loud_mel_loss": ("loud cells", ".4f"),
    "time_texture": ("time texture", ".3f"),
    "band_texture": ("band texture", ".3f"),
    "codes_used": ("codes used", ".0f"),
    "entropy_bits": ("entropy, bits", ".2f"),
    "minutes": ("minutes", ".1f"),
}


def measure(lever: Lever, data: Path, runs: Path, extra: Mapping[str, str]) -> dict[str, Any]:
    """Train a lever, unless that was done before, and return its last validation."""
    out = runs / lever.name
    done = out / "done.json"
    settings = {**lever.settings, **extra}
    if done.exists() and json.loads(done.read_text())["settings"] == settings:
        return dict(json.loads(done.read_text())["numbers"])
    resume = (out / "state").exists()
    result = train("tokenizer", "probe", data=[data], out=out, resume=resume, settings=settings)
    if not result.finished:
        sys.exit(f"stopped in {lever.name} at step {result.step}; run again to go on")
    numbers = next(line for line in reversed(read_metrics(out)) if line["part"] == "valid")
    atomic.write_text(done, json.dumps({"settings": settings, "numbers": numbers}) + "\n")
    return numbers


def table(rows: Sequence[tuple[Lever, Mapping[str, Any]]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    heads = [head for head, _ in _COLUMNS.values()]
    yield "| " + " | ".join(["lever", *heads, "settings"]) + " |"
    yield "|" + " --- |" * (len(heads) + 2)
    for lever, numbers in rows:
        cells = [format(numbers[key], kind) for key, (_, kind) in _COLUMNS.items()]
        told = " ".join(f"{name}={value}" for name, value in lever.settings.items())
        yield "| " + " | ".join([lever.name, *cells, told and f"`{told}`"]) + " |"


def page(groups: Sequence[str], data: Path, runs: Path, extra: Mapping[str, str]) -> str:
    """Run the groups and return the page with a table for each."""
    lines = [
        "# Levers of the tokenizer",
        "",
        "Made by `python -m benchmarks.ablations`: the recipe `probe` (a quarter of the default's "
        "arithmetic, 300 steps, random weights at the start, seed 0), one thing changed at a time. "
        "Textures are the change from frame to frame and bin to bin over the original's (1 is "
        "right, plain L1 blurs). One run a row: differences under about .002 are within what "
        "another seed does.",
    ]
    if extra:
        lines[-1] += " All rows with " + " ".join(f"`{k}={v}`" for k, v in extra.items()) + "."
    for group in groups:
        rows = []
        for lever in GROUPS[group]:
            print(f"{group}: {lever.name}", file=sys.stderr, flush=True)
            rows.append((lever, measure(lever, data, runs, extra)))
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
    text = page(options.group or list(GROUPS), options.data, options.runs, extra)
    print(text)
    if options.write:
        atomic.write_text(options.write, text)


if __name__ == "__main__":
    main()
