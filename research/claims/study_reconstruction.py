"""Reconstruction: band against residual tokens, and both with less music to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bandtok.evaluation.statistics import Estimate
from research.claims.clips import keep_clip, listened_excerpts, sound_of
from research.claims.measures import (
    Predicted,
    Reconstructed,
    bits_difference,
    bits_mean,
    difference_in,
    mean_of,
    prediction,
    reconstruction,
)
from research.claims.plots import plot_bars, plot_curves
from research.claims.results import Clip, Findings, Table
from research.claims.rows import (
    SYSTEMS,
    Row,
    language_model_row,
    size_name,
    tokenizer_row,
)
from research.claims.run_store import RunStore, Trained
from research.claims.scales import Scale
from research.claims.significance import Difference, cell, delta, outcome
from research.claims.study import BUDGET_NOTE, INTERVAL_NOTE, SOUND_NOTE, Place, how

MEASURES = {
    "mel_below": ("mel < 15 kHz", 3),
    "mel": ("mel, all bins", 3),
    "stft": ("STFT", 3),
    "visqol": ("ViSQOL", 2),
    "flicker": ("flicker", 3),
    "grain": ("grain", 3),
}
"""Name and digits of each measure of reconstruction; only ViSQOL is better when it is higher."""
MEASURES_NOTE = (
    "measures",
    "mel: mean absolute difference of ln-mels (decoded mel against original); STFT: "
    "multi-resolution STFT distance; ViSQOL in audio mode, up to 4.7; flicker and grain: change "
    "from frame to frame and bin to bin, relative to the original's; 1 is right, less is blurred.",
)


def reconstruction_rows(scale: Scale) -> list[Row]:
    return [tokenizer_row(scale, system, seed) for system in SYSTEMS for seed in scale.seeds]


def find_reconstruction(store: RunStore, place: Place) -> Findings:
    """Compare both kinds of token on the same held-out excerpts."""
    scale = store.scale
    rows = {s: [tokenizer_row(scale, s, seed) for seed in scale.seeds] for s in SYSTEMS}
    trained = {s: [store.trained(row) for row in rows[s]] for s in SYSTEMS}
    found = {s: [reconstruction(store, row, waveform=True) for row in rows[s]] for s in SYSTEMS}
    differences = {
        name: difference
        for name in MEASURES
        if (difference := difference_in(found["band"], found["residual"], name))
    }
    lines = []
    for system in SYSTEMS:
        for seed, one, run in zip(scale.seeds, found[system], trained[system], strict=True):
            lines.append(_line(system, str(seed), [one], [run]))
        if len(scale.seeds) > 1:
            lines.append(_line(system, "all", found[system], trained[system]))
    return Findings(
        answer=_reconstruction_answer(differences, found, trained),
        tables=(
            Table(
                title="Reconstruction at equal bit rate and steps",
                columns=(
                    "tokens",
                    "seed",
                    "kbit/s",
                    "steps",
                    "minutes",
                    *_names(),
                    "codes used, a row",
                ),
                rows=tuple(lines),
            ),
            difference_table("Band minus residual", differences),
            how(BUDGET_NOTE, MEASURES_NOTE, SOUND_NOTE, INTERVAL_NOTE),
        ),
        plots=(plot_bars(place.plot("measures"), _bars(found, scale.seeds)),),
        clips=_clips(store, place),
    )


def difference_table(title: str, differences: dict[str, Difference]) -> Table:
    """Return a line for each measure's difference."""
    lines = []
    for name, one in differences.items():
        label, digits = MEASURES[name]
        better = {0: "not decided", 1: "higher", -1: "lower"}[one.direction]
        lines.append((label, delta(one, digits), str(one.estimate.count), better))
    return Table(
        title=title, columns=("measure", "difference", "clips", "direction"), rows=tuple(lines)
    )


def measure_cells(found: Sequence[Reconstructed]) -> tuple[str, ...]:
    """Return the cells of all measures, over seeds and excerpts."""
    return tuple(cell(mean_of(found, name), digits) for name, (_, digits) in MEASURES.items())


def _names() -> tuple[str, ...]:
    return tuple(label for label, _ in MEASURES.values())


def _line(
    system: str, seed: str, found: Sequence[Reconstructed], trained: Sequence[Trained]
) -> tuple[str, ...]:
    return (
        system,
        seed,
        f"{found[0].bit_rate_bps / 1000:.2f}",
        f"{trained[0].steps}",
        f"{np.mean([one.minutes for one in trained]):.1f}",
        *measure_cells(found),
        f"{np.mean([one.codes_used for one in found]):.0f}",
    )


def _reconstruction_answer(
    differences: dict[str, Difference],
    found: dict[str, list[Reconstructed]],
    trained: dict[str, list[Trained]],
) -> str:
    mel = differences["mel_below"]
    minutes = {s: float(np.mean([one.minutes for one in trained[s]])) for s in SYSTEMS}
    means = {s: mean_of(found[s], "mel_below") for s in SYSTEMS}
    text = (
        "Claim: band tokens reconstruct better than residual tokens at equal bit rate. "
        f"{outcome(mel, -1)}: mel distance below 15 kHz {cell(means['band'])} for band and "
        f"{cell(means['residual'])} for residual tokens, band minus residual {delta(mel)} "
        f"({mel.estimate.count} excerpts; lower is better). "
    )
    if "visqol" in differences:
        rated = differences["visqol"]
        text += f"ViSQOL, where higher is better: {outcome(rated, 1).lower()}, {delta(rated, 2)}. "
    return text + (
        f"Equal steps took {minutes['band']:.1f} minutes for band and "
        f"{minutes['residual']:.1f} for residual tokens, beside whatever else ran there."
    )


def _bars(
    found: dict[str, list[Reconstructed]], seeds: Sequence[int]
) -> dict[str, dict[str, Estimate]]:
    panels: dict[str, dict[str, Estimate]] = {}
    for name in ("mel_below", "visqol"):
        bars = {
            f"{system}, seed {seed}": mean
            for system in SYSTEMS
            for seed, one in zip(seeds, found[system], strict=True)
            if (mean := mean_of([one], name))
        }
        if bars:
            panels[MEASURES[name][0]] = bars
    return panels


def _clips(store: RunStore, place: Place) -> tuple[Clip, ...]:
    """Keep a few excerpts with their reconstructions by the first seed's tokenizers."""
    scale, clips = store.scale, []
    tokenizers = {s: store.tokenizer(tokenizer_row(scale, s, scale.seeds[0])) for s in SYSTEMS}
    excerpts = listened_excerpts(store, place.listen, scale.kept_excerpts)
    for number, (title, audio) in enumerate(excerpts, 1):
        group = f"Excerpt {number}: {title}"
        clips.append(
            keep_clip(
                place.folder,
                place.name,
                f"{number}-original",
                audio,
                None,
                seconds=scale.kept_seconds,
                title=title,
                group=group,
                system="original",
            )
        )
        for system, tokenizer in tokenizers.items():
            grid = tokenizer.encode(audio)
            made = sound_of(grid.codes, tokenizer, scale.rounds)
            clips.append(
                keep_clip(
                    place.folder,
                    place.name,
                    f"{number}-{system}",
                    made,
                    grid,
                    seconds=scale.kept_seconds,
                    rows_are_bands=tokenizer.config.rows_are_bands,
                    title=f"{title}, {system} tokens",
                    group=group,
                    system=system,
                )
            )
    return tuple(clips)


def _sizes(scale: Scale) -> tuple[float | None, ...]:
    return (*scale.sizes, None)


def data_size_rows(scale: Scale) -> list[Row]:
    return [
        language_model_row(scale, system, scale.seeds[0], hours=hours)
        for hours in _sizes(scale)
        for system in SYSTEMS
    ]


def find_data_size(store: RunStore, place: Place) -> Findings:
    """Measure both kinds of token with less music to learn from."""
    scale = store.scale
    seed = scale.seeds[0]
    mels: dict[float | None, dict[str, Reconstructed]] = {}
    bits: dict[float | None, dict[str, Predicted]] = {}
    for hours in _sizes(scale):
        models = {s: language_model_row(scale, s, seed, hours=hours) for s in SYSTEMS}
        mels[hours] = {s: reconstruction(store, models[s].tokenizer) for s in SYSTEMS}
        bits[hours] = {s: prediction(store, models[s]) for s in SYSTEMS}
    mel_gaps = {
        h: difference_in([m["band"]], [m["residual"]], "mel_below") for h, m in mels.items()
    }
    bit_gaps = {h: bits_difference([b["band"]], [b["residual"]]) for h, b in bits.items()}
    lines = [
        (
            _music(store, hours),
            system,
            cell(mean_of([mels[hours][system]], "mel_below")),
            f"{mels[hours][system].codes_used:.0f}",
            _music(store, language_model_row(scale, system, seed, hours=hours).hours),
            f"{np.mean(bits[hours][system].nats):.3f}",
            cell(bits_mean([bits[hours][system]]), 0),
        )
        for hours in _sizes(scale)
        for system in SYSTEMS
    ]
    gaps = [
        (
            _music(store, hours),
            delta(gap) if (gap := mel_gaps[hours]) else "–",
            delta(bit_gaps[hours], 0),
        )
        for hours in _sizes(scale)
    ]
    names = [size_name(hours) for hours in _sizes(scale)]
    curves = {
        "mel < 15 kHz": {
            s: [float(np.mean(_known(mels[h][s].values["mel_below"]))) for h in _sizes(scale)]
            for s in SYSTEMS
        },
        "bits a second": {
            s: [float(np.mean(bits[h][s].bits_per_second)) for h in _sizes(scale)] for s in SYSTEMS
        },
    }
    return Findings(
        answer=_data_size_answer(store, mel_gaps, bit_gaps),
        tables=(
            Table(
                title="By training music",
                columns=(
                    "music of the tokenizer",
                    "tokens",
                    "mel < 15 kHz",
                    "codes used, a row",
                    "music of the language model",
                    "nats a token",
                    "bits a second",
                ),
                rows=tuple(lines),
            ),
            Table(
                title="Band minus residual",
                columns=("music", "mel < 15 kHz", "bits a second"),
                rows=tuple(gaps),
            ),
            how(
                BUDGET_NOTE,
                (
                    "music",
                    "Smaller amounts are parts of larger ones; steps are the same for all, so "
                    "less music means more passes over it. Tokenizer and language model learn "
                    "from the same amount, the language model from at most "
                    f"{_music(store, scale.lm_hours)}. One seed.",
                ),
                INTERVAL_NOTE,
            ),
        ),
        plots=(plot_curves(place.plot("sizes"), curves, x_label="training music", x_names=names),),
    )


def _data_size_answer(
    store: RunStore,
    mel_gaps: dict[float | None, Difference | None],
    bit_gaps: dict[float | None, Difference],
) -> str:
    smallest = next(iter(mel_gaps))
    mel = mel_gaps[smallest]
    assert mel is not None
    parts = [
        f"{_music(store, hours)}: mel {gap.estimate.mean:+.3f}, {bits.estimate.mean:+,.0f} bit/s"
        for (hours, gap), bits in zip(mel_gaps.items(), bit_gaps.values(), strict=True)
        if gap
    ]
    return (
        "Claim: band tokens are ahead where there is little music. With the least music "
        f"({_music(store, smallest)}), mel distance: {outcome(mel, -1).lower()}, band minus "
        f"residual {delta(mel)}; language model: {outcome(bit_gaps[smallest], -1).lower()}, "
        f"{delta(bit_gaps[smallest], 0)} bits a second. By amount of music, band minus residual: "
        + "; ".join(parts)
        + "."
    )


def _music(store: RunStore, hours: float | None) -> str:
    return f"{store.corpus.hours if hours is None else min(hours, store.corpus.hours):.3g} h"


def _known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]
