"""What a language model makes of both kinds of token: bits a second, positions, order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from research.claims.measures import (
    Predicted,
    bits_difference,
    bits_mean,
    difference_in,
    mean_of,
    prediction,
    reconstruction,
)
from research.claims.plots import plot_bars
from research.claims.results import Findings, Table
from research.claims.rows import SYSTEMS, LanguageModelRow, Row, language_model_row
from research.claims.run_store import RunStore
from research.claims.scales import Scale
from research.claims.significance import Difference, cell, delta, outcome
from research.claims.study import BUDGET_NOTE, INTERVAL_NOTE, Place, how

MODELS = {
    "band, 2D": ("band", "2d", "raster"),
    "band, 1D": ("band", "1d", "raster"),
    "residual, 2D": ("residual", "2d", "raster"),
    "residual, 1D": ("residual", "1d", "raster"),
    "residual, 2D, delay": ("residual", "2d", "delay"),
}
"""Tokens, positions and reading order of each language model."""
_POSITIONS = [name for name in MODELS if "delay" not in name]
_RESIDUAL = [name for name in MODELS if name.startswith("residual")]
_BITS_NOTE = (
    "bits a second",
    "Negative log-likelihood without text of whole held-out windows / ln 2 x tokens a second: "
    "what a second of music costs, so that different tokens can be compared; perplexity cannot. A "
    "tokenizer that keeps less of the music needs fewer bits, so read it beside the mel distance.",
)
CODES_NOTE = (
    "embeddings",
    "One transformer for all. Bands share a codebook and so one table of embeddings; each residual "
    "layer has a table and scores of its own, as in MusicGen, and more parameters for it. All "
    "tables start from the entries of their codebook (the 16 principal dimensions of longer ones). "
    "A residual table meets a sixteenth of the tokens that the bands' table meets.",
)
_POSITIONS_NOTE = (
    "positions",
    "2D: half of each head turned by the frame, half by the row (band or layer); 1D: turned by "
    "the raster index, rows differ by their embedding alone. Delay: row k of a frame is read "
    "with row 0 of the frame k later.",
)


def model_rows(scale: Scale, names: Sequence[str]) -> list[LanguageModelRow]:
    """Return the language models of these names, every seed."""
    return [row for name in names for row in _rows_of(scale, name)]


def prediction_rows(scale: Scale) -> list[Row]:
    return list(model_rows(scale, list(MODELS)))


def position_rows(scale: Scale) -> list[Row]:
    return list(model_rows(scale, _POSITIONS))


def find_prediction(store: RunStore, place: Place) -> Findings:
    """Compare language models of one transformer and equal budget on both kinds of token."""
    found = _predicted(store, list(MODELS))
    lines = [line for name in MODELS for line in _lines(store, name, found[name])]
    pairs = {
        "band, 2D - residual, 2D": ("band, 2D", "residual, 2D"),
        "band, 2D - residual, 1D": ("band, 2D", "residual, 1D"),
        "band, 2D - residual, 2D, delay": ("band, 2D", "residual, 2D, delay"),
        "residual, 2D, delay - residual, 2D": ("residual, 2D, delay", "residual, 2D"),
    }
    differences = {
        name: bits_difference(found[first], found[second])
        for name, (first, second) in pairs.items()
    }
    return Findings(
        answer=_prediction_answer(store, differences, found),
        tables=(
            Table(
                title="Language models of one transformer and equal budget",
                columns=(
                    "model",
                    "seed",
                    "parameters, M",
                    "nats a token",
                    "perplexity",
                    "unigram, nats",
                    "bits a second",
                    "of the bit rate",
                    "mel < 15 kHz of the tokens",
                    "minutes",
                ),
                rows=tuple(lines),
            ),
            _difference_table(differences),
            how(BUDGET_NOTE, _BITS_NOTE, CODES_NOTE, _POSITIONS_NOTE, INTERVAL_NOTE),
        ),
        plots=(plot_bars(place.plot("bits"), {"bits a second of music": _bars(found)}),),
    )


def find_positions(store: RunStore, place: Place) -> Findings:
    """Compare 2D and 1D rotary positions, tokens and budget being the same."""
    names = _POSITIONS
    found = _predicted(store, names)
    differences = {
        f"{system}: 1D - 2D": bits_difference(found[f"{system}, 1D"], found[f"{system}, 2D"])
        for system in SYSTEMS
    }
    lines = [
        (name, seed, *_row_parts(one))
        for name in names
        for seed, one in _by_seed(store.scale.seeds, found[name])
    ]
    band = differences["band: 1D - 2D"]
    residual = differences["residual: 1D - 2D"]
    answer = (
        "Claim: 2D rotary positions (frame, band) serve the token grid better than 1D positions. "
        f"{outcome(band, 1)}: bits a second of band tokens with 1D positions less those with 2D, "
        f"{delta(band, 0)} ({band.estimate.count} windows). On residual tokens, where a row is a "
        f"layer: {outcome(residual, 1).lower()}, {delta(residual, 0)}." + idle_models(found)
    )
    return Findings(
        answer=answer,
        tables=(
            Table(
                title="Positions",
                columns=(
                    "model",
                    "seed",
                    "nats a token",
                    "bits a second",
                    "nats, first quarter of rows",
                    "nats, last quarter",
                ),
                rows=tuple(lines),
            ),
            _difference_table(differences),
            how(BUDGET_NOTE, _BITS_NOTE, _POSITIONS_NOTE, INTERVAL_NOTE),
        ),
        plots=(plot_bars(place.plot("bits"), {"bits a second of music": _bars(found)}),),
    )


def _rows_of(scale: Scale, name: str) -> list[LanguageModelRow]:
    system, rope, order = MODELS[name]
    return [language_model_row(scale, system, seed, rope=rope, order=order) for seed in scale.seeds]


def _predicted(store: RunStore, names: Sequence[str]) -> dict[str, list[Predicted]]:
    return {name: [prediction(store, row) for row in _rows_of(store.scale, name)] for name in names}


def _by_seed(seeds: Sequence[int], found: Sequence[Predicted]) -> list[tuple[str, list[Predicted]]]:
    lines = [(str(seed), [one]) for seed, one in zip(seeds, found, strict=True)]
    return [*lines, ("all", list(found))] if len(seeds) > 1 else lines


def _lines(store: RunStore, name: str, found: Sequence[Predicted]) -> list[tuple[str, ...]]:
    rows = _rows_of(store.scale, name)
    trained = [store.trained(row) for row in rows]
    kept = [reconstruction(store, row.tokenizer) for row in rows]
    lines: list[tuple[str, ...]] = []
    for number, (seed, part) in enumerate(_by_seed(store.scale.seeds, found)):
        here = slice(number, number + 1) if len(part) == 1 else slice(None)
        nats = float(np.mean([one.nats for one in part]))
        bits = bits_mean(part)
        lines.append(
            (
                name,
                seed,
                f"{part[0].parameters / 1e6:.2f}",
                f"{nats:.3f}",
                f"{math.exp(nats):,.1f}",
                f"{np.mean([one.unigram for one in part]):.3f}",
                cell(bits, 0),
                f"{100 * bits.mean / kept[0].bit_rate_bps:.1f} %",
                cell(mean_of(kept[here], "mel_below")),
                f"{np.mean([run.minutes for run in trained[here]]):.1f}",
            )
        )
    return lines


def _row_parts(found: Sequence[Predicted]) -> tuple[str, ...]:
    rows = np.mean([one.rows for one in found], axis=0)
    quarter = max(len(rows) // 4, 1)
    nats = float(np.mean([one.nats for one in found]))
    parts = (rows[:quarter].mean(), rows[-quarter:].mean())
    return (f"{nats:.3f}", cell(bits_mean(found), 0), *(f"{part:.3f}" for part in parts))


def _difference_table(differences: Mapping[str, Difference]) -> Table:
    lines = [
        (
            name,
            delta(one, 0),
            str(one.estimate.count),
            {0: "not decided", 1: "more", -1: "fewer"}[one.direction],
        )
        for name, one in differences.items()
    ]
    return Table(
        title="Differences in bits a second",
        columns=("difference", "bits a second", "windows", "direction"),
        rows=tuple(lines),
    )


def idle_models(found: Mapping[str, Sequence[Predicted]]) -> str:
    """Say which models have learned nothing but how often codes come, if any has."""
    names = [
        name
        for name, models in found.items()
        if any(float(np.mean(one.nats)) >= one.unigram for one in models)
    ]
    if not names:
        return ""
    return (
        f" Of little worth: {', '.join(names)} foretold no better than the frequencies of its "
        "codes, so that its part of this says nothing of its tokens."
    )


def _prediction_answer(
    store: RunStore,
    differences: Mapping[str, Difference],
    found: Mapping[str, Sequence[Predicted]],
) -> str:
    best = min(_RESIDUAL, key=lambda name: _mean_bits(found[name]))
    main = differences[f"band, 2D - {best}"]
    delay = differences["residual, 2D, delay - residual, 2D"]
    kept = {
        s: [reconstruction(store, row.tokenizer) for row in _rows_of(store.scale, f"{s}, 2D")]
        for s in SYSTEMS
    }
    mels = {s: mean_of(kept[s], "mel_below") for s in SYSTEMS}
    mel = difference_in(kept["band"], kept["residual"], "mel_below")
    ruled = outcome(main, -1)
    if mel is not None and mel.direction == main.direction * -1 != 0:
        ruled = "Not decided here: the tokens that cost fewer bits keep less of the music"
    return (
        "Claim: a language model finds band tokens easier than residual tokens. "
        f"{ruled}: band tokens cost {cell(bits_mean(found['band, 2D']), 0)} bits a second of music "
        f"and residual tokens, with the best of their models ('{best}'), "
        f"{cell(bits_mean(found[best]), 0)}, band minus residual {delta(main, 0)} "
        f"({main.estimate.count} windows), at mel distances of {cell(mels['band'])} and "
        f"{cell(mels['residual'])}. The delay pattern changes residual tokens by {delta(delay, 0)} "
        "bits a second." + idle_models(found)
    )


def _mean_bits(found: Sequence[Predicted]) -> float:
    return bits_mean(found).mean


def _bars(found: Mapping[str, Sequence[Predicted]]) -> dict:
    return {name: bits_mean(list(one)) for name, one in found.items()}
