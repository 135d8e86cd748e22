"""What a wrong early token of a frame does to later tokens and to the mel, for both systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bandtok.evaluation.statistics import Estimate
from research.analysis.token_damage import (
    LaterDamage,
    prediction_damage,
    reencoded_damage,
    rewritten_damage,
    wrong_places,
)
from research.analysis.token_perturbation import error_spread
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
    difference_of,
    outcome,
    paired_difference,
    pooled,
)
from research.claims.study import BUDGET_NOTE, Place, how

COUNTS = (1, 2, 4, 8)
"""How many tokens at the beginning of a frame are made wrong."""
_WAYS = {
    "rewritten": "written on by the language model, share changed",
    "chance": "the same by other random numbers, nothing wrong",
    "foretold": "true tokens foretold, extra nats a token",
    "reencoded": "decoded and encoded again, share changed",
}
_WHERE = {"same_frame": "later rows of the frame", "later_frames": "frames after"}
_NOTES = (
    (
        "errors",
        "At places drawn at random (the same for both systems) the first k tokens of a frame are "
        "replaced by others that the same row uses, as often as it does. Later tokens: rows after "
        "the k-th of the same frame, and all rows of the frames after it.",
    ),
    (
        "written on",
        "The language model (2D positions, raster order) writes all later tokens after the true "
        "and after the wrong ones with the same random number at each cell. What other random "
        "numbers change of the same tokens after the true ones is the most that could have "
        "changed; the share of that is taken for each k and system.",
    ),
    (
        "damage to the mel",
        "Absolute difference of the decoded ln-mels, mean over the bins of a frame, summed over "
        "frames; at half as many places.",
    ),
    (
        "intervals",
        "95 %, by resampling the tracks that places lie in, of values averaged over seeds and, for "
        "the outcome, over k; damage to the mel is not paired.",
    ),
)


def error_rows(scale: Scale) -> list[Row]:
    return [row for system in SYSTEMS for row in _models(scale, system)]


def find_errors(store: RunStore, place: Place) -> Findings:
    """Make early tokens wrong in both systems, and look at what comes later."""
    found = {s: [_damaged(store, row) for row in _models(store.scale, s)] for s in SYSTEMS}
    lines = [line for way in _WAYS for where in _WHERE for line in _token_lines(found, way, where)]
    columns = ("later tokens", "where", "k", *SYSTEMS, "band minus residual")
    rewritten = {
        system: [
            float(_token_mean(found[system], "rewritten", "same_frame", k).mean)
            for k in _counts(found, "rewritten")
        ]
        for system in SYSTEMS
    }
    mel = {s: [_mel_mean(found[s], k).mean for k in _mel_counts(found)] for s in SYSTEMS}
    return Findings(
        answer=_answer(found),
        tables=(
            Table(title="Damage to later tokens", columns=columns, rows=tuple(lines)),
            Table(
                title="Damage to the mel",
                columns=("k", *SYSTEMS, "band minus residual", *_SHARES),
                rows=tuple(_mel_line(found, k) for k in _mel_counts(found)),
            ),
            how(BUDGET_NOTE, *_NOTES),
        ),
        plots=(
            plot_curves(
                place.plot("tokens"),
                {"later tokens of the frame\nchanged, share": rewritten},
                x_label="early tokens wrong, k",
                x_names=[str(k) for k in _counts(found, "rewritten")],
            ),
            plot_curves(
                place.plot("mel"),
                {"damage (ln-mel x frames)": mel},
                x_label="early tokens wrong, k",
                x_names=[str(k) for k in _mel_counts(found)],
            ),
        ),
    )


def _models(scale: Scale, system: str) -> list[LanguageModelRow]:
    return [language_model_row(scale, system, seed) for seed in scale.seeds]


def _damaged(store: RunStore, row: LanguageModelRow) -> dict[str, Any]:
    store.shards(row.tokenizer, row.hours)
    settings = {"places": store.scale.places, "later": store.scale.later_frames}
    return store.measured(f"errors-{row.name}", row, settings, lambda: _measure(store, row))


def _measure(store: RunStore, row: LanguageModelRow) -> dict[str, Any]:
    scale = store.scale
    network, tokenizer = store.language_model(row), store.tokenizer(row.tokenizer)
    held_out = store.held_out(row.tokenizer, row.hours)
    places = wrong_places(
        held_out.grids,
        held_out.codebook_size,
        num_places=scale.places,
        frames=network.config.window_frames,
        later_frames=scale.later_frames,
    )
    spread = error_spread(
        tokenizer.codec.decode_mel,
        held_out.grids,
        held_out.codebook_size,
        num_places=(scale.places + 1) // 2,
        context_frames=2 * tokenizer.config.decoder_reach,
        rows_are_bands=tokenizer.config.rows_are_bands,
        num_single=1,
    )
    changed, chance = rewritten_damage(network, places, COUNTS)
    cases = [spread.single[0], *spread.first]
    return {
        "pieces": [place.piece for place in places],
        "rewritten": _plain(changed),
        "chance": _plain(chance),
        "foretold": _plain(prediction_damage(network, places, COUNTS)),
        "reencoded": _plain(reencoded_damage(tokenizer.codec.network, places, COUNTS)),
        "mel": [
            {
                "count": len(case.rows),
                "damage": [case.damage.mean, case.damage.low, case.damage.high],
                "earlier": case.earlier,
                "same_frame": case.same_frame,
                "later": case.later,
            }
            for case in cases
        ],
    }


def _plain(damages: Sequence[LaterDamage]) -> list[dict[str, Any]]:
    return [
        {
            "count": one.count,
            "same_frame": one.same_frame.tolist(),
            "later_frames": one.later_frames.tolist(),
        }
        for one in damages
    ]


Found = Mapping[str, Sequence[Mapping[str, Any]]]


def _counts(found: Found, way: str) -> list[int]:
    return [one["count"] for one in found["band"][0][way]]


def _token_values(
    found: Sequence[Mapping[str, Any]], way: str, where: str, count: int | None
) -> list[list[float]]:
    """Return by seed a value for each place; None averages over all k."""
    return [
        np.mean([one[where] for one in seed[way] if count in (None, one["count"])], axis=0).tolist()
        for seed in found
    ]


def _of_chance(found: Sequence[Mapping[str, Any]], where: str) -> list[list[float]]:
    """Return by seed, for each place, the share of what chance changes, averaged over k."""
    return [
        np.mean(
            [
                np.asarray(one[where]) / max(float(np.mean(chance[where])), 1e-9)
                for one, chance in zip(seed["rewritten"], seed["chance"], strict=True)
            ],
            axis=0,
        ).tolist()
        for seed in found
    ]


def _token_mean(
    found: Sequence[Mapping[str, Any]], way: str, where: str, count: int | None
) -> Estimate:
    return pooled(_token_values(found, way, where, count), found[0]["pieces"])


def _token_difference(found: Found, way: str, where: str, count: int | None) -> Difference:
    band, residual = (_token_values(found[s], way, where, count) for s in SYSTEMS)
    return paired_difference(band, residual, found["band"][0]["pieces"])


def _token_lines(found: Found, way: str, where: str) -> list[tuple[str, ...]]:
    return [
        (
            _WAYS[way],
            _WHERE[where],
            str(count),
            *(cell(_token_mean(found[s], way, where, count)) for s in SYSTEMS),
            delta(_token_difference(found, way, where, count)),
        )
        for count in _counts(found, way)
    ]


_SHARES = ("band: before, same, after", "residual: before, same, after")


def _mel_counts(found: Found) -> list[int]:
    return [case["count"] for case in found["band"][0]["mel"]]


def _mel_case(one: Mapping[str, Any], count: int) -> Mapping[str, Any]:
    return next(case for case in one["mel"] if case["count"] == count)


def _mel_estimates(found: Sequence[Mapping[str, Any]], count: int) -> list[Estimate]:
    damages = [_mel_case(one, count)["damage"] for one in found]
    return [Estimate(mean=m, low=low, high=high, count=len(found)) for m, low, high in damages]


def _mel_mean(found: Sequence[Mapping[str, Any]], count: int) -> Estimate:
    return combined(_mel_estimates(found, count))


def _mel_difference(found: Found, count: int) -> Difference:
    return difference_of(*(_mel_estimates(found[s], count) for s in SYSTEMS))


def _mel_line(found: Found, count: int) -> tuple[str, ...]:
    shares = []
    for system in SYSTEMS:
        cases = [_mel_case(one, count) for one in found[system]]
        means = [
            np.mean([case[key] for case in cases]) for key in ("earlier", "same_frame", "later")
        ]
        shares.append(", ".join(f"{100 * mean:.0f} %" for mean in means))
    values = [cell(_mel_mean(found[s], count)) for s in SYSTEMS]
    return (str(count), *values, delta(_mel_difference(found, count)), *shares)


def _answer(found: Found) -> str:
    pieces = found["band"][0]["pieces"]
    same = _token_difference(found, "rewritten", "same_frame", None)
    later = _token_difference(found, "rewritten", "later_frames", None)
    nats = _token_difference(found, "foretold", "same_frame", None)
    again = _token_difference(found, "reencoded", "same_frame", None)
    shares = {s: _token_mean(found[s], "rewritten", "same_frame", None).mean for s in SYSTEMS}
    of_chance = {s: _of_chance(found[s], "same_frame") for s in SYSTEMS}
    part = paired_difference(of_chance["band"], of_chance["residual"], pieces)
    mel = _mel_difference(found, 1)
    return (
        "Claim: errors in early tokens accumulate more in residual than in band tokens. "
        f"{outcome(same, -1)}: after 1 to 8 wrong tokens a language model changes "
        f"{100 * shares['band']:.1f} % of the frame's later band tokens and "
        f"{100 * shares['residual']:.1f} % of its later residual tokens, band minus residual, as "
        f"shares, {delta(same)}. Of what chance could change that is "
        f"{cell(pooled(of_chance['band'], pieces), 2)} and "
        f"{cell(pooled(of_chance['residual'], pieces), 2)}: {outcome(part, -1).lower()}, "
        f"{delta(part)}. In the frames after, as shares: {delta(later)}. Extra nats of true later "
        f"tokens of the frame, band minus residual: {delta(nats)}; tokens changed by decoding and "
        f"encoding again, as shares: {delta(again)}. One wrong first token damages the mel by "
        f"{cell(_mel_mean(found['band'], 1), 2)} (band) and "
        f"{cell(_mel_mean(found['residual'], 1), 2)} (residual), difference {delta(mel, 2)}."
    )
