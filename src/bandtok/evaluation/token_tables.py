"""Statistics of tokens as rows of text, and what a reader must know of them.

TokenDependence, LanguageModelScore -> table (the first row is the heading), notes
"""

from __future__ import annotations

import math

from bandtok.evaluation.html_page import Table
from bandtok.evaluation.mutual_information import Dependence, TokenDependence
from bandtok.evaluation.perplexity import LanguageModelScore
from bandtok.evaluation.tokens import TokenReport


def dependence_table(found: TokenDependence) -> Table:
    """Return both profiles of mutual information, their means first."""
    names = ("raw", "floor", "corrected")
    head = [f"{what}, {name}" for what in ("other rows", "frame before") for name in names]
    rows = [["row", *head], ["mean", *_numbers(found.others), *_numbers(found.before)]]
    for number, row in enumerate(found.rows):
        rows.append([str(number), *_numbers(row.others), *_numbers(row.before)])
    return rows


def dependence_notes(found: TokenDependence) -> list[str]:
    """Return what mutual information was taken of, and what its numbers mean."""
    return [
        f"Mutual information: 2 I / (H + H) of two rows' codes over the same {found.num_frames:,} "
        f"frames (seed {found.seed}); other rows: mean over the other rows of the same frame; "
        "frame before: the same row one frame earlier. Floor: the same of rows shuffled in time. "
        "Corrected: (raw - floor) / (1 - floor); 1 for rows that determine each other, 0 for "
        "independent ones, too low rather than too high between. Compare systems at equal numbers "
        "of frames."
    ]


def language_model_table(report: TokenReport) -> Table:
    """Return nats, perplexity and bits of each row, all rows first; only the heading if none."""
    rows = [["row", "nats", "perplexity", "bits", "entropy, bits", "bits per second"]]
    score = report.language_model
    if score is None:
        return rows
    mean = score.nats.mean
    entropies = [band.entropy_bits for band in report.usage.bands]
    whole = sum(entropies) / len(entropies)
    rows.append(_score_row("all", mean, whole, score.bits_per_second))
    for number, (row, entropy) in enumerate(zip(score.rows, entropies, strict=True)):
        rate = row.nats / math.log(2) * report.frame_rate
        rows.append(_score_row(str(number), row.nats, entropy, rate))
    return rows


def language_model_notes(report: TokenReport, score: LanguageModelScore) -> list[str]:
    """Return what was scored, and what coding each row by its own entropy would need."""
    nats = score.nats
    unigram = sum(band.entropy_bits for band in report.usage.bands) * report.frame_rate
    return [
        f"Language model {score.name or 'bundled'} ({score.parameters / 1e6:.1f} M parameters), "
        f"without text, {score.num_windows} windows of {score.window_frames} frames: "
        f"{nats.mean:.3f} nats per token, 95 % interval over tracks [{nats.low:.3f}, "
        f"{nats.high:.3f}]; {score.bits_per_second:,.0f} bits per second. The entropies of "
        f"the rows alone (biased low if tokens are few): {unigram:,.0f} bits per second; log2 of "
        f"the codebook size: {report.model.bit_rate_bps:,.0f}. Those of other tokens cannot "
        "be compared, bits per second can."
    ]


def _numbers(found: Dependence | None) -> list[str]:
    if found is None:
        return ["–"] * 3
    return [f"{value:.3f}" for value in (found.raw, found.floor, found.corrected)]


def _score_row(name: str, nats: float, entropy: float, bits_per_second: float) -> list[str]:
    bits = nats / math.log(2)
    numbers = (f"{nats:.3f}", f"{math.exp(nats):,.1f}", f"{bits:.2f}", f"{entropy:.2f}")
    return [name, *numbers, f"{bits_per_second:,.0f}"]
