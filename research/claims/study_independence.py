"""How much tokens tell of one another, by token index: the paper's figure for both systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bandtok.evaluation.mutual_information import TokenDependence, token_dependence
from bandtok.evaluation.statistics import Estimate
from bandtok.evaluation.usage import UsageCounter
from research.claims.measures import prediction
from research.claims.plots import plot_curves
from research.claims.results import Findings, Table
from research.claims.rows import SYSTEMS, LanguageModelRow, Row, language_model_row
from research.claims.run_store import RunStore
from research.claims.scales import Scale
from research.claims.significance import (
    Difference,
    cell,
    combined,
    delta,
    jackknife,
    outcome,
)
from research.claims.study import BUDGET_NOTE, Place, how

_KINDS = ("raw", "floor", "corrected")
_NOTES = (
    (
        "NMI",
        "Normalized mutual information 2 I / (H + H) of two rows' codes over the same frames, "
        "plug-in; with other rows: mean over the other rows of the frame; frame before: the row "
        "itself one frame earlier. Floor: rows shuffled in time. Corrected: (raw - floor) / "
        "(1 - floor), a lower bound: it is right for independent rows and grows with the number of "
        "frames for others, the more slowly the more even the codes. Equal numbers of frames for "
        "both systems; a claim is decided only if the sign is the same at all numbers of frames.",
    ),
    (
        "perplexity",
        "exp(nats) of each row from language models of one transformer, raw, not scaled; the "
        "codebooks are of one size. Lower is not better by itself: a row that says nothing is "
        "easily foretold.",
    ),
    (
        "intervals",
        "95 %: tracks in groups, each left out once (jackknife, both systems the same groups), of "
        "values averaged over seeds.",
    ),
)


def independence_rows(scale: Scale) -> list[Row]:
    return [row for system in SYSTEMS for row in _models(scale, system)]


def find_independence(store: RunStore, place: Place) -> Findings:
    """Measure mutual information and perplexity by row of both systems."""
    scale = store.scale
    found = {s: [_profile(store, row) for row in _models(scale, s)] for s in SYSTEMS}
    predicted = {s: [prediction(store, row) for row in _models(scale, s)] for s in SYSTEMS}
    nats = {s: np.mean([one.rows for one in predicted[s]], axis=0) for s in SYSTEMS}
    profiles = {s: _mean_profile(found[s]) for s in SYSTEMS}
    return Findings(
        answer=_answer(found),
        tables=(
            _summary(found),
            _by_frames(found),
            *(_profile_table(s, profiles[s], nats[s]) for s in SYSTEMS),
            how(BUDGET_NOTE, *_NOTES),
        ),
        plots=(
            plot_curves(
                place.plot("nmi"),
                {
                    "NMI with other rows, raw": _with_floor(profiles, "others"),
                    "NMI with other rows,\ncorrected": _curves(profiles, "others-corrected"),
                    "NMI with the frame\nbefore, corrected": _curves(profiles, "before-corrected"),
                },
                x_label="token index in the frame (band or layer)",
            ),
            plot_curves(
                place.plot("perplexity"),
                {
                    "perplexity": {s: np.exp(nats[s]).tolist() for s in SYSTEMS},
                    "entropy, bits": _curves(profiles, "entropy"),
                },
                x_label="token index in the frame (band or layer)",
            ),
        ),
    )


def _models(scale: Scale, system: str) -> list[LanguageModelRow]:
    return [language_model_row(scale, system, seed) for seed in scale.seeds]


def _profile(store: RunStore, row: LanguageModelRow) -> dict[str, Any]:
    store.shards(row.tokenizer, row.hours)
    scale = store.scale
    return store.measured(
        f"independence-{row.tokenizer.name}",
        row.tokenizer,
        {"frames": scale.profile_frames, "folds": scale.folds},
        lambda: _measure(store, row),
    )


def _measure(store: RunStore, row: LanguageModelRow) -> dict[str, Any]:
    """Return the profiles of all tracks, and means with each group of tracks left out."""
    scale = store.scale
    held_out = store.held_out(row.tokenizer, row.hours)
    grids = held_out.grids
    folds = min(scale.folds, len(grids))
    kept = [[g for n, g in enumerate(grids) if n % folds != fold] for fold in range(folds)]
    parts = kept if folds > 1 else [grids]
    fewest = min(sum(grid.shape[1] - 1 for grid in part) for part in parts)
    frames = fewest if scale.profile_frames is None else min(scale.profile_frames, fewest)
    whole = token_dependence(grids, frames)
    counter = UsageCounter(held_out.codebook_size, len(grids[0]))
    for grid in grids:
        counter.add(grid)
    profile: dict[str, list[float]] = {
        f"{name}-{kind}": [getattr(getattr(one, name), kind) for one in whole.rows]
        for name in ("others", "before")
        for kind in _KINDS
    }
    profile["entropy"] = [band.entropy_bits for band in counter.usage().bands]
    left_out = [token_dependence(part, frames) for part in parts]
    fewer = [count for count in (frames // 4, frames // 2) if count]
    return {
        "frames": frames,
        "by_frames": {
            **{str(count): _corrected(token_dependence(grids, count)) for count in fewer},
            str(frames): _corrected(whole),
        },
        "profile": profile,
        "left_out": {
            f"{name}-{kind}": [getattr(getattr(one, name), kind) for one in left_out]
            for name in ("others", "before")
            for kind in _KINDS
        },
    }


def _corrected(found: TokenDependence) -> float:
    """Return the corrected NMI with the other rows of the frame, mean over rows."""
    return float(np.mean([one.others.corrected for one in found.rows if one.others]))


def _estimate(found: Mapping[str, Any], key: str) -> Estimate:
    return jackknife(float(np.mean(found["profile"][key])), found["left_out"][key])


def _answer(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    by_key = {
        key: _difference(found, key)
        for key in ("others-raw", "others-corrected", "before-corrected")
    }
    raw, corrected = by_key["others-raw"], by_key["others-corrected"]
    means = {s: combined([_estimate(one, "others-corrected") for one in found[s]]) for s in SYSTEMS}
    ruled = outcome(corrected, -1)
    if len({gap > 0 for gap in _gaps(found).values()}) > 1:
        ruled = "Not decided here: the sign changes with the number of frames"
    return (
        "Claim: band tokens of a frame are more independent than residual tokens. "
        f"{ruled}: NMI with the other tokens of the frame, above what shuffled rows give, is "
        f"{cell(means['band'])} for band and {cell(means['residual'])} for residual tokens, band "
        f"minus residual {delta(corrected)}; as measured (raw) {delta(raw)}. With the same token "
        f"one frame earlier: {delta(by_key['before-corrected'])}. "
        f"{found['band'][0]['frames']:,} frames each. Entropy of a token: "
        f"{_entropy(found['band']):.2f} and {_entropy(found['residual']):.2f} bits."
    )


def _entropy(found: Sequence[Mapping[str, Any]]) -> float:
    return float(np.mean([one["profile"]["entropy"] for one in found]))


def _difference(found: Mapping[str, Sequence[Mapping[str, Any]]], key: str) -> Difference:
    """Return band minus residual; the same tracks are left out on both sides."""
    sides = [[_estimate(one, key) for one in found[s]] for s in SYSTEMS]
    left_out = [np.mean([one["left_out"][key] for one in found[s]], axis=0) for s in SYSTEMS]
    by_seed = [first.mean - second.mean for first, second in zip(*sides, strict=True)]
    estimate = jackknife(float(np.mean(by_seed)), (left_out[0] - left_out[1]).tolist())
    return Difference(estimate=estimate, by_seed=tuple(by_seed), groups=estimate.count)


def _gaps(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    """Return band minus residual of the corrected NMI by number of frames."""
    band, residual = (
        {k: float(np.mean([one["by_frames"][k] for one in found[s]])) for k in counts}
        for s in SYSTEMS
        for counts in [found["band"][0]["by_frames"]]
    )
    return {count: band[count] - residual[count] for count in band}


def _by_frames(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    gaps = _gaps(found)
    lines = [
        (
            f"{int(count):,}",
            *(f"{np.mean([one['by_frames'][count] for one in found[s]]):.4f}" for s in SYSTEMS),
            f"{gaps[count]:+.4f}",
        )
        for count in gaps
    ]
    return Table(
        title="Other rows, corrected, by number of frames",
        columns=("frames", *SYSTEMS, "band minus residual"),
        rows=tuple(lines),
    )


def _summary(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    keys = [f"{name}-{kind}" for name in ("others", "before") for kind in _KINDS]
    lines = []
    for key in keys:
        cells = [cell(combined([_estimate(one, key) for one in found[s]])) for s in SYSTEMS]
        lines.append((_said(key), *cells, delta(_difference(found, key))))
    return Table(
        title="Mean over token indices",
        columns=("NMI", *SYSTEMS, "band minus residual"),
        rows=tuple(lines),
    )


def _said(key: str) -> str:
    name, kind = key.split("-")
    return f"{'other rows' if name == 'others' else 'frame before'}, {kind}"


def _mean_profile(found: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    keys = found[0]["profile"]
    return {key: np.mean([one["profile"][key] for one in found], axis=0).tolist() for key in keys}


def _profile_table(system: str, profile: Mapping[str, list[float]], nats: np.ndarray) -> Table:
    names = [f"{name}-{kind}" for name in ("others", "before") for kind in _KINDS]
    lines = [
        (
            str(index),
            *(f"{profile[name][index]:.3f}" for name in names),
            f"{profile['entropy'][index]:.2f}",
            f"{nats[index]:.3f}",
            f"{np.exp(nats[index]):,.1f}",
        )
        for index in range(len(nats))
    ]
    return Table(
        title=f"By token index, {system} tokens",
        columns=("index", *map(_said, names), "entropy, bits", "nats", "perplexity"),
        rows=tuple(lines),
    )


def _curves(profiles: Mapping[str, Mapping[str, list[float]]], key: str) -> dict[str, list[float]]:
    return {system: profiles[system][key] for system in SYSTEMS}


def _with_floor(
    profiles: Mapping[str, Mapping[str, list[float]]], name: str
) -> dict[str, list[float]]:
    floors = {f"{s}, floor": profiles[s][f"{name}-floor"] for s in SYSTEMS}
    return {**_curves(profiles, f"{name}-raw"), **floors}
