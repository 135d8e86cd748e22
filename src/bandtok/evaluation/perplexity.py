"""Perplexity of a language model for each row of a token grid.

    MusicLM, codes [bands, frames] of several pieces -> nats per token, by row

The model reads whole windows of its own length, one after another, with no text; a window's first
frames are scored with the few frames before them in the window, as in training. Nats of
different tokenizers are compared as bits per second of audio, never by token. Trains nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bandtok.errors import DataError, ModelMismatch
from bandtok.evaluation.excerpts import spread
from bandtok.evaluation.statistics import Estimate, bootstrap_mean
from bandtok.lm.model import MusicLM
from bandtok.lm.token_order import flatten, token_order, unflatten

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class RowScore:
    """One row of the grid.

    Attributes:
        nats: mean negative log-likelihood of a token.
        perplexity: exp(nats).
    """

    nats: float
    perplexity: float


@dataclass(frozen=True, kw_only=True)
class LanguageModelScore:
    """What a language model makes of a set of tokens.

    Attributes:
        name: of the model.
        parameters: its size.
        num_windows: windows scored.
        window_frames: length of each.
        rows: by row of the grid.
        nats: mean over all tokens, interval over pieces.
        bits_per_second: cost of one second: all rows' nats / ln 2 x frame rate.
    """

    name: str
    parameters: int
    num_windows: int
    window_frames: int
    rows: tuple[RowScore, ...]
    nats: Estimate
    bits_per_second: float


def score_tokens(
    network: MusicLM,
    grids: Sequence[np.ndarray],
    *,
    frame_rate: float,
    name: str = "",
    max_windows: int | None = None,
    progress: Progress | None = None,
) -> LanguageModelScore:
    """Let a language model score the codes of several pieces.

    Args:
        network: the model, in evaluation mode.
        grids: int [bands, frames] of each piece.
        frame_rate: token frames per second.
        name: what to call the model.
        max_windows: score exactly this many windows, spread evenly; None scores every whole window.
        progress: called with (windows done, in all).

    Raises:
        DataError: if there are fewer whole windows than requested, or none.
    """
    config = network.config
    chosen = choose_windows(grids, config.window_frames, max_windows)
    by_row = []
    for done, (piece, first) in enumerate(chosen, start=1):
        codes = grids[piece][:, first : first + config.window_frames]
        by_row.append(window_nats(network, codes).mean(axis=1))
        if progress:
            progress(done, len(chosen))
    nats = np.mean(by_row, axis=0)
    return LanguageModelScore(
        name=name,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        num_windows=len(chosen),
        window_frames=config.window_frames,
        rows=tuple(RowScore(nats=float(n), perplexity=math.exp(n)) for n in nats),
        nats=bootstrap_mean([float(row.mean()) for row in by_row], [p for p, _ in chosen]),
        bits_per_second=float(nats.sum()) / math.log(2) * frame_rate,
    )


def choose_windows(
    grids: Sequence[np.ndarray], window_frames: int, max_windows: int | None = None
) -> list[tuple[int, int]]:
    """Return (piece, first frame) of exactly `max_windows` whole windows, spread evenly; or of all.

    Raises:
        DataError: if there are fewer, or none.
    """
    places = _whole_windows(grids, window_frames)
    wanted = max(1, len(places) if max_windows is None else max_windows)
    if len(places) < wanted:
        raise DataError(
            f"got {len(places)} whole windows of {window_frames} frames; expected at least "
            f"{wanted}, from more or longer music or a smaller number of windows"
        )
    return [places[index] for index in spread(places, wanted)]


@torch.inference_mode()
def window_nats(network: MusicLM, codes: np.ndarray) -> np.ndarray:
    """Return the negative log-likelihood of every token of a window, without text.

    Args:
        network: the model.
        codes: int [bands, frames], at most one window.

    Returns:
        float64 [bands, frames] nats.
    """
    grid = torch.from_numpy(codes.astype(np.int64)).to(network.code_embedding.weight.device)
    order = torch.from_numpy(token_order(network.config.order, *grid.shape)).to(grid.device)
    tokens = flatten(grid)[order]
    scores: Tensor = network(tokens[None], None, order[None])[0]
    losses = functional.cross_entropy(scores.double(), tokens, reduction="none")
    raster = torch.empty_like(losses).scatter_(0, order, losses)
    nats: np.ndarray = unflatten(raster, len(grid)).cpu().numpy()
    return nats


def check_language_model(
    network: MusicLM, num_rows: int, codebook_size: int, fingerprint: str
) -> None:
    """Refuse a language model that was made for other tokens.

    Raises:
        ModelMismatch: if rows, codebook or the tokenizer's fingerprint differ.
    """
    config = network.config
    theirs = (config.num_bands, config.codebook_size)
    if theirs != (num_rows, codebook_size):
        raise ModelMismatch(
            f"got a language model for (rows, codebook size) {theirs}; "
            f"expected {(num_rows, codebook_size)}, those of the tokenizer"
        )
    if config.tokenizer_fingerprint not in ("", fingerprint):
        raise ModelMismatch(
            f"got a language model trained on codes of tokenizer "
            f"{config.tokenizer_fingerprint[:12]}; expected {fingerprint[:12]}: name another --lm "
            "or --model"
        )


def _whole_windows(grids: Sequence[np.ndarray], window_frames: int) -> list[tuple[int, int]]:
    return [
        (piece, first)
        for piece, grid in enumerate(grids)
        for first in range(0, grid.shape[1] - window_frames + 1, window_frames)
    ]
