"""Ablations of the band tokenizer's training: patch discriminators, the rule of the codebook."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from research.claims.ablations import GROUPS
from research.claims.measures import Reconstructed, difference_in, mean_of, reconstruction
from research.claims.plots import plot_bars
from research.claims.results import Findings, Table
from research.claims.rows import (
    SCALES_OF_JUDGES,
    Row,
    TokenizerRow,
    lever_row,
    sharpen_row,
)
from research.claims.run_store import RunStore
from research.claims.scales import Scale
from research.claims.significance import Difference, cell, delta, outcome
from research.claims.study import INTERVAL_NOTE, SOUND_NOTE, Place, how
from research.claims.study_reconstruction import (
    MEASURES,
    MEASURES_NOTE,
    difference_table,
    measure_cells,
)

RULES = ("base", "gradient")
_RULE_NAMES = {"base": "moving averages (EMA)", "gradient": "gradient"}
_DISCRIMINATOR_NAMES = {"none": "no judge", "1": "one scale", "3": "three scales"}


def patchgan_rows(scale: Scale) -> list[Row]:
    return [row for discriminators in SCALES_OF_JUDGES for row in _sharpened(scale, discriminators)]


def codebook_rows(scale: Scale) -> list[Row]:
    return [row for rule in RULES for row in _ruled(scale, rule)]


def find_patchgan(store: RunStore, place: Place) -> Findings:
    """Train the decoder on against no, one or three patch discriminators, codes frozen."""
    rows = {
        discriminators: _sharpened(store.scale, discriminators)
        for discriminators in SCALES_OF_JUDGES
    }
    found = {j: [reconstruction(store, row, waveform=True) for row in rows[j]] for j in rows}
    tables = [_table(store, "Patch judges", rows, found, _DISCRIMINATOR_NAMES)]
    for discriminators in SCALES_OF_JUDGES[1:]:
        differences = _differences(found[discriminators], found["none"])
        tables.append(
            difference_table(
                f"{_DISCRIMINATOR_NAMES[discriminators]} minus no discriminator", differences
            )
        )
    many, one = (
        _differences(found[discriminators], found["none"]) for discriminators in ("3", "1")
    )
    answer = (
        "Claim: a multi-scale PatchGAN objective improves reconstruction. Three scales against no "
        f"judge, mel distance: {outcome(many['mel_below'], -1).lower()}, "
        f"{delta(many['mel_below'])} (lower is better)"
    )
    if "visqol" in many:
        answer += f"; ViSQOL: {outcome(many['visqol'], 1).lower()}, {delta(many['visqol'], 2)}"
    answer += (
        f". Flicker changes by {delta(many['flicker'])} (the original's is 1; it "
        f"stands at {cell(mean_of(found['none'], 'flicker'))} without discriminators). One scale "
        f"against none: mel {delta(one['mel_below'])}, flicker {delta(one['flicker'])}."
    )
    return Findings(
        answer=answer,
        tables=(
            *tables,
            how(
                (
                    "training",
                    "The recipe `sharpen` from the band tokenizers of the reconstruction "
                    "experiment: encoder and codebook frozen, the decoder trained on for equal "
                    "steps; discriminators of normalized mel patches (see the recipe).",
                ),
                MEASURES_NOTE,
                SOUND_NOTE,
                INTERVAL_NOTE,
            ),
        ),
        plots=(_plot(place, found, _DISCRIMINATOR_NAMES, ("mel_below", "flicker", "visqol")),),
    )


def find_codebook(store: RunStore, place: Place) -> Findings:
    """Train the band tokenizer with each rule by which the codebook may follow the data."""
    rows = {rule: _ruled(store.scale, rule) for rule in RULES}
    found = {rule: [reconstruction(store, row) for row in rows[rule]] for rule in RULES}
    gradient = _differences(found["gradient"], found["base"])
    mel = gradient["mel_below"]
    codes = {rule: float(np.mean([one.codes_used for one in found[rule]])) for rule in RULES}
    answer = (
        "Claim: updating the codebook by moving averages reconstructs better than learning it by "
        f"gradient. {outcome(mel, 1)}: mel distance with the gradient less that with EMA, "
        f"{delta(mel)} ({mel.estimate.count} excerpts); codes that a band uses there "
        f"{codes['base']:,.0f} (EMA) and {codes['gradient']:,.0f} (gradient)."
    )
    return Findings(
        answer=answer,
        tables=(
            _table(store, "Rules of the codebook", rows, found, _RULE_NAMES),
            difference_table("Gradient minus EMA", gradient),
            how(
                (
                    "training",
                    "The band tokenizer of the reconstruction experiment from random weights, one "
                    "setting changed; the codebook is begun by k-means after a short phase without "
                    "quantization in every row.",
                ),
                MEASURES_NOTE,
                INTERVAL_NOTE,
            ),
        ),
        plots=(_plot(place, found, _RULE_NAMES, ("mel_below", "flicker")),),
    )


def _sharpened(scale: Scale, discriminators: str) -> list[TokenizerRow]:
    return [sharpen_row(scale, discriminators, seed) for seed in scale.seeds]


def _ruled(scale: Scale, rule: str) -> list[TokenizerRow]:
    ablation = next(ablation for ablation in GROUPS["codebook"] if ablation.name == rule)
    return [lever_row(scale, ablation, seed) for seed in scale.seeds]


def _differences(
    first: Sequence[Reconstructed], second: Sequence[Reconstructed]
) -> dict[str, Difference]:
    return {
        name: difference for name in MEASURES if (difference := difference_in(first, second, name))
    }


def _table(
    store: RunStore,
    title: str,
    rows: dict[str, list[TokenizerRow]],
    found: dict[str, list[Reconstructed]],
    names: dict[str, str],
) -> Table:
    lines = []
    for key, own in rows.items():
        trained = [store.trained(row) for row in own]
        lines.append(
            (
                names[key],
                ", ".join(str(row.seed) for row in own),
                str(trained[0].steps),
                f"{np.mean([run.minutes for run in trained]):.1f}",
                *measure_cells(found[key]),
                f"{np.mean([one.codes_used for one in found[key]]):.0f}",
                f"{np.mean([one.entropy_bits for one in found[key]]):.2f}",
            )
        )
    labels = tuple(label for label, _ in MEASURES.values())
    columns = (
        "row",
        "seeds",
        "steps",
        "minutes",
        *labels,
        "codes used, a row",
        "entropy, bits a row",
    )
    return Table(title=title, columns=columns, rows=tuple(lines))


def _plot(
    place: Place,
    found: dict[str, list[Reconstructed]],
    names: dict[str, str],
    measures: Sequence[str],
) -> str:
    panels = {
        MEASURES[measure][0]: {names[key]: mean for key, mean in means.items() if mean}
        for measure in measures
        if any((means := {key: mean_of(one, measure) for key, one in found.items()}).values())
    }
    return plot_bars(place.plot("measures"), panels)
