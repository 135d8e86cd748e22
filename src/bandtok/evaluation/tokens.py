"""A corpus and a tokenizer to statistics of the tokens: usage, dependence, predictability.

    manifest or folder of audio, Tokenizer, perhaps a MusicLM -> TokenReport

Whole tracks are encoded once and their codes kept: 2.5 MB per hour of music with the bundled model.
Writes nothing; see :mod:`bandtok.evaluation.report`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.manifest import manifest_folder
from bandtok.errors import ConfigError, DataError
from bandtok.evaluation.corpus import (
    ModelSummary,
    Progress,
    Steps,
    encoded_tracks,
    model_summary,
    select_tracks,
)
from bandtok.evaluation.mutual_information import TokenDependence, token_dependence
from bandtok.evaluation.perplexity import (
    LanguageModelScore,
    check_language_model,
    score_tokens,
)
from bandtok.evaluation.usage import CodebookUsage, UsageCounter
from bandtok.lm.model import MusicLM


@dataclass(frozen=True, kw_only=True)
class TokenSettings:
    """What is measured.

    Attributes:
        split: of the manifest; None takes every track.
        max_frames: mutual information counts exactly this many frames; None counts all.
        lm_windows: the language model scores exactly this many windows; None scores all.
        seed: of all choices.
    """

    split: str | None = "test"
    max_frames: int | None = None
    lm_windows: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("max_frames", 2), ("lm_windows", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"got {name} {value}; expected at least {least}")


@dataclass(frozen=True, kw_only=True)
class TokenReport:
    """Everything measured in one run.

    Attributes:
        model: the tokenizer.
        settings: of the run.
        usage: of the codebook, by row.
        dependence: mutual information by row; None if no track has two frames.
        language_model: its score of the same tokens, if one was given.
        frame_rate: token frames per second.
        num_tracks: whole tracks that were encoded.
        seconds: their length.
        left_out: one line for each track that could not be read.
    """

    model: ModelSummary
    settings: TokenSettings
    usage: CodebookUsage
    dependence: TokenDependence | None
    language_model: LanguageModelScore | None
    frame_rate: float
    num_tracks: int
    seconds: float
    left_out: tuple[str, ...]


def evaluate_tokens(
    manifest: str | os.PathLike[str],
    tokenizer: Tokenizer,
    settings: TokenSettings | None = None,
    *,
    language_model: MusicLM | None = None,
    language_model_name: str = "",
    progress: Progress | None = None,
) -> TokenReport:
    """Encode the whole tracks of a split and measure their tokens.

    Args:
        manifest: manifest.jsonl, a folder that holds one, or a plain folder of audio.
        tokenizer: what is measured.
        settings: what to measure; None means the defaults.
        language_model: scores the tokens, without text.
        language_model_name: what the report calls it.
        progress: called with (done, in all) of tracks, then windows.

    Raises:
        DataError: if the split is empty, no track of it can be read, or it is too short for what
            was requested.
        ModelMismatch: if the language model was made for other tokens.
    """
    settings = settings or TokenSettings()
    rows, size = tokenizer.num_bands, tokenizer.codebook_size
    if language_model is not None:
        check_language_model(language_model, rows, size, tokenizer.fingerprint)
    grids, left_out = _encoded(manifest, tokenizer, settings.split, progress)
    counter = UsageCounter(size, rows)
    for grid in grids:
        counter.add(grid)
    return TokenReport(
        model=model_summary(tokenizer),
        settings=settings,
        usage=counter.usage(),
        dependence=_dependence(grids, settings),
        language_model=None
        if language_model is None
        else score_tokens(
            language_model,
            grids,
            frame_rate=tokenizer.frame_rate,
            name=language_model_name,
            max_windows=settings.lm_windows,
            progress=progress,
        ),
        frame_rate=tokenizer.frame_rate,
        num_tracks=len(grids),
        seconds=sum(grid.shape[1] for grid in grids) / tokenizer.frame_rate,
        left_out=tuple(left_out),
    )


def _encoded(
    manifest: str | os.PathLike[str],
    tokenizer: Tokenizer,
    split: str | None,
    progress: Progress | None,
) -> tuple[list[np.ndarray], list[str]]:
    tracks = select_tracks(manifest, split)
    grids, left_out = [], []
    steps = Steps(len(tracks), progress)
    for found in encoded_tracks(tracks, manifest_folder(manifest), tokenizer, steps):
        if isinstance(found, str):
            left_out.append(found)
        else:
            grids.append(found)
    if not grids:
        raise DataError(f"none of {len(tracks)} tracks could be used; first reason: {left_out[0]}")
    return grids, left_out


def _dependence(grids: list[np.ndarray], settings: TokenSettings) -> TokenDependence | None:
    pairs = sum(grid.shape[1] - 1 for grid in grids)
    if pairs < 2 and settings.max_frames is None:
        return None
    return token_dependence(grids, settings.max_frames, settings.seed)
