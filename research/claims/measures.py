"""Reconstruction and prediction of one row, by clip and by window, kept in the runs folder.

    RunStore, row -> values by clip or window, with the track that each is of

So that rows can be compared clip by clip: all rows are measured on the same held-out excerpts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bandtok.data.token_windows import WindowSampler
from bandtok.evaluation.corpus import ReconstructionSettings, evaluate_reconstruction
from bandtok.evaluation.perplexity import choose_windows, window_nats
from bandtok.evaluation.statistics import Estimate
from bandtok.training.token_loss import unigram_loss
from research.claims.rows import LanguageModelRow, TokenizerRow
from research.claims.run_store import RunStore
from research.claims.significance import Difference, paired_difference, pooled

_OF_MEL = ("mel_below", "mel", "flicker", "grain")
_OF_WAVEFORM = ("stft", "visqol")


@dataclass(frozen=True, kw_only=True)
class Reconstructed:
    """What a tokenizer makes of held-out excerpts.

    Attributes:
        tracks: of each excerpt.
        values: by measure, one for each excerpt; None where it was not measured.
        codes_used, entropy_bits: of its tokens, mean over the rows of the grid.
        bit_rate_bps: of its tokens.
    """

    tracks: list[str]
    values: dict[str, list[float | None]]
    codes_used: float
    entropy_bits: float
    bit_rate_bps: float


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What a language model makes of held-out windows.

    Attributes:
        tracks: of each window.
        nats: mean over each window's tokens.
        unigram: nats a token of all windows by how often each row had each code in training.
        rows: mean nats by row of the grid.
        tokens_per_second: tokens in a second of music.
        parameters: of the model.
    """

    tracks: list[str]
    nats: list[float]
    unigram: float
    rows: list[float]
    tokens_per_second: float
    parameters: int

    @property
    def bits_per_second(self) -> list[float]:
        """What each window needs, in bits for a second of music."""
        return [nats / math.log(2) * self.tokens_per_second for nats in self.nats]


def reconstruction(store: RunStore, row: TokenizerRow, *, waveform: bool = False) -> Reconstructed:
    """Measure a tokenizer on held-out excerpts: its mel alone, or a waveform by Griffin-Lim too."""
    scale = store.scale
    settings = ReconstructionSettings(
        split=store.corpus.held_out,
        excerpt_seconds=scale.excerpt_seconds,
        max_clips=scale.excerpts,
        systems=("mel-only", "griffin-lim") if waveform else ("mel-only",),
        visqol_clips=scale.visqol if waveform else 0,
        num_iterations=scale.rounds,
        pitch_and_onsets=False,
        embedders=(),
    )
    found = store.measured(
        f"reconstruction-{row.name}{'-waveform' if waveform else ''}",
        row,
        {
            "excerpts": settings.max_clips,
            "seconds": settings.excerpt_seconds,
            "rounds": settings.num_iterations,
            "visqol": settings.visqol_clips,
        },
        lambda: _reconstruct(store, row, settings),
    )
    return Reconstructed(**found)


def _reconstruct(store: RunStore, row: TokenizerRow, settings: ReconstructionSettings) -> Any:
    tokenizer = store.tokenizer(row)
    report = evaluate_reconstruction(store.corpus.data, tokenizer, settings)
    measures = dict.fromkeys(_OF_MEL, "mel-only")
    if "griffin-lim" in settings.systems:
        measures |= dict.fromkeys(_OF_WAVEFORM, "griffin-lim")
    return {
        "tracks": [one.excerpt.track.path for one in report.rows],
        "values": {
            name: [getattr(one.measures[system], name) for one in report.rows]
            for name, system in measures.items()
        },
        "codes_used": float(np.mean([row.used_codes for row in report.usage.bands])),
        "entropy_bits": float(np.mean([row.entropy_bits for row in report.usage.bands])),
        "bit_rate_bps": tokenizer.bit_rate_bps,
    }


def prediction(store: RunStore, row: LanguageModelRow) -> Predicted:
    """Let a language model score held-out windows of its own length, without text."""
    found = store.measured(
        f"prediction-{row.name}",
        row,
        {"windows": store.scale.windows},
        lambda: _predict(store, row),
    )
    return Predicted(**found)


def _predict(store: RunStore, row: LanguageModelRow) -> Any:
    network = store.language_model(row)
    held_out = store.held_out(row.tokenizer, row.hours)
    corpus = store.shards(row.tokenizer, row.hours)
    length = network.config.window_frames
    available = sum(grid.shape[1] // length for grid in held_out.grids)
    chosen = choose_windows(held_out.grids, length, min(store.scale.windows, available) or None)
    windows = [held_out.grids[piece][:, first : first + length] for piece, first in chosen]
    by_row = [window_nats(network, window).mean(axis=1) for window in windows]
    return {
        "tracks": [held_out.paths[piece] for piece, _ in chosen],
        "nats": [float(rows.mean()) for rows in by_row],
        "unigram": unigram_loss(
            WindowSampler(corpus, corpus.split("train"), length).band_counts(
                held_out.codebook_size
            ),
            np.stack(windows),
        ),
        "rows": np.mean(by_row, axis=0).tolist(),
        "tokens_per_second": len(by_row[0]) * held_out.frame_rate,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def mean_of(found: Sequence[Reconstructed], measure: str) -> Estimate | None:
    """Return a measure's mean over seeds and excerpts; None if it was measured nowhere."""
    values, tracks = _measured(found, measure)
    return pooled(values, tracks) if tracks else None


def difference_in(
    first: Sequence[Reconstructed], second: Sequence[Reconstructed], measure: str
) -> Difference | None:
    """Return how much larger a measure is for `first`, by excerpt; None if measured nowhere."""
    values, tracks = _measured([*first, *second], measure)
    return paired_difference(values[: len(first)], values[len(first) :], tracks) if tracks else None


def bits_mean(found: Sequence[Predicted]) -> Estimate:
    """Return bits for a second of music, over seeds and windows."""
    return pooled([one.bits_per_second for one in found], found[0].tracks)


def bits_difference(first: Sequence[Predicted], second: Sequence[Predicted]) -> Difference:
    """Return how many more bits a second `first` needs, by window."""
    return paired_difference(
        [one.bits_per_second for one in first],
        [one.bits_per_second for one in second],
        first[0].tracks,
    )


def _measured(found: Sequence[Reconstructed], measure: str) -> tuple[list[list[float]], list[str]]:
    """Return the values of each row at the excerpts that all rows have, and their tracks."""
    columns = [one.values.get(measure, []) for one in found]
    values: list[list[float]] = [[] for _ in found]
    tracks = []
    for place, track in enumerate(found[0].tracks):
        here = [column[place] if place < len(column) else None for column in columns]
        if any(value is None for value in here):
            continue
        tracks.append(track)
        for row, value in zip(values, here, strict=True):
            row.append(float(value))  # type: ignore[arg-type]
    return values, tracks
