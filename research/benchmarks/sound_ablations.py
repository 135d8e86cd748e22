"""Losses of joint training, added one at a time, at equal budget from the same weights.

    python -m research.benchmarks.sound_ablations --data CORPUS --runs DIR [--steps 150] [--split \
        valid]
        [--max-clips 24] [--tokenizer NAME] [--vocoder NAME] [--set KEY=VALUE ...] [--write FILE.md]

The base is the recipe `joint_sharp` with every added loss and the discriminators switched off; a
row switches on one of them, with the recipe's weight, and the last row all. Each row is measured
by `bandtok.evaluate_reconstruction` on the same clips. Runs and measures that are complete in DIR
are read, not repeated, so a stopped set goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bandtok.api.tokenizer import Tokenizer
from bandtok.errors import BandTokError
from bandtok.evaluation.corpus import ReconstructionSettings, evaluate_reconstruction
from bandtok.tokens import atomic
from bandtok.training.recipes import vocoder as recipes
from bandtok.training.settings import describe
from research.claims.ablations import Ablation
from research.claims.training import train_once

ADDED = {
    "texture": ("texture_weight",),
    "onset": ("onset_weight",),
    "pitch": ("pitch_weight",),
    "tagger": ("tagger_weight",),
    "mel discriminators": ("discriminator_start_step",),
}
_OFF = {"discriminator_start_step": "none"}
COLUMNS = {
    "mel_below": ("mel < 15 kHz", ".4f"),
    "flicker": ("flicker", ".3f"),
    "grain": ("grain", ".3f"),
    "pitch": ("pitch", ".3f"),
    "onset_correlation": ("onset correlation", ".3f"),
    "onsets_per_second": ("onsets per second", ".2f"),
    "embedding_distance": ("embedding distance", ".4f"),
    "mmd": ("MMD", ".2f"),
    "visqol": ("ViSQOL", ".2f"),
}
_MEASURES = "measures.json"


@dataclass(frozen=True, kw_only=True)
class SoundStudy:
    """What all rows have in common.

    Attributes:
        data: corpus or folder of audio.
        runs: folder for the runs.
        tokenizer, vocoder: models that every row starts from.
        measured: clips and measures.
        settings: recipe settings of all rows.
    """

    data: Path
    runs: Path
    tokenizer: str
    vocoder: str
    measured: ReconstructionSettings
    settings: Mapping[str, str]


def rows() -> list[Ablation]:
    """Return the settings of each row: none of the added losses, each alone, all of them."""
    off = {name: _OFF.get(name, "0") for names in ADDED.values() for name in names}
    recipe = describe(recipes.joint_sharp())
    single = [
        Ablation(
            name=f"+ {added}",
            settings={**off, **{name: str(recipe[name]) for name in names}},
        )
        for added, names in ADDED.items()
    ]
    return [Ablation(name="no adversary", settings=off), *single, Ablation(name="all")]


def measure(ablation: Ablation, study: SoundStudy) -> dict[str, float]:
    """Train a row, unless that was done before, and return its measures by name."""
    out = study.runs / ablation.name.replace("+ ", "").replace(" ", "-")
    settings = {"tokenizer": study.tokenizer, **study.settings, **ablation.settings}
    train_once(
        "vocoder",
        "joint_sharp",
        data=study.data,
        out=out,
        settings=settings,
        init=study.vocoder,
        keep_state=False,
    )
    return measured_once(out, Tokenizer.from_pretrained(out), study)


def measured_once(out: Path, tokenizer: Tokenizer, study: SoundStudy) -> dict[str, float]:
    """Measure a model, unless `out` holds the same measures already."""
    path, asked = out / _MEASURES, repr(study.measured)
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["settings"] == asked:
            return dict(found["measures"])
    report = evaluate_reconstruction(study.data, tokenizer, study.measured)
    means = report.means["bandtok"]
    measures = {name: means[name].mean for name in COLUMNS if name in means}
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, json.dumps({"settings": asked, "measures": measures}) + "\n")
    return measures


def table(found: Sequence[tuple[str, Mapping[str, float]]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; "–" where a measure is missing."""
    shown = [name for name in COLUMNS if any(name in measures for _, measures in found)]
    yield "| " + " | ".join(["row", *(COLUMNS[name][0] for name in shown)]) + " |"
    yield "|" + " --- |" * (len(shown) + 1)
    for row, measures in found:
        cells = [format(measures[n], COLUMNS[n][1]) if n in measures else "–" for n in shown]
        yield "| " + " | ".join([row, *cells]) + " |"


def page(study: SoundStudy) -> str:
    """Run all rows and return the page."""
    names = [None if name == "bundled" else name for name in (study.tokenizer, study.vocoder)]
    start = Tokenizer.from_pretrained(names[0], vocoder=names[1])
    print("start", file=sys.stderr, flush=True)
    found = [("start", measured_once(study.runs / "start", start, study))]
    for ablation in rows():
        print(ablation.name, file=sys.stderr, flush=True)
        found.append((ablation.name, measure(ablation, study)))
    common = " ".join(f"`{name}={value}`" for name, value in study.settings.items())
    weights = describe(recipes.joint_sharp())
    used = ", ".join(
        f"{name} {weights[name]:g}" for names in ADDED.values() for name in names if weights[name]
    )
    lines = [
        "# Losses of joint training",
        "",
        "Made by `python -m research.benchmarks.sound_ablations`: the recipe `joint_sharp` from the same "  # noqa: E501
        f"weights (tokenizer `{study.tokenizer}`, vocoder `{study.vocoder}`), {common}; one loss "
        f"of it switched on at a time ({used}; adversarial {weights['adversarial_weight']:g}, "
        f"feature matching {weights['feature_matching_weight']:g}). "
        f"Whole chain, split `{study.measured.split}`, at most {study.measured.max_clips} clips of "
        f"{study.measured.excerpt_seconds:g} s. One run per row.",
        "",
        *table(found),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="corpus or folder of audio")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--steps", type=int, default=150, help="steps per row")
    parser.add_argument("--tokenizer", default="bundled", help="tokenizer that rows start from")
    parser.add_argument("--vocoder", default="bundled", help="vocoder that rows start from")
    parser.add_argument("--split", default="valid", help="split that is measured, or all")
    parser.add_argument("--max-clips", type=int, default=24, help="clips that are measured")
    parser.add_argument("--visqol-clips", type=int, default=0, help="clips rated by ViSQOL")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--write", type=Path, help="Markdown page to write (docs/lab/sound-ablations.md)"
    )
    options = parser.parse_args()
    study = SoundStudy(
        data=options.data,
        runs=options.runs,
        tokenizer=options.tokenizer,
        vocoder=options.vocoder,
        measured=ReconstructionSettings(
            split=None if options.split == "all" else options.split,
            max_clips=options.max_clips,
            systems=("bandtok",),
            visqol_clips=options.visqol_clips,
        ),
        settings={
            "loop.steps": str(options.steps),
            "loop.warmup_steps": str(max(options.steps // 10, 1)),
            **dict(pair.split("=", 1) for pair in options.set),
        },
    )
    try:
        text = page(study)
    except BandTokError as error:
        sys.exit(str(error))
    print(text)
    if options.write:
        atomic.write_text(options.write, text)


if __name__ == "__main__":
    main()
