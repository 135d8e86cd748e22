"""Runs of tokens that generated clips share with the training data."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.data.shards import TokenCorpus
from bandtok.errors import DataError
from bandtok.evaluation.memorization import longest_shared_runs
from bandtok.signal.audio import Audio
from bandtok.tokens.grid import TokenGrid


@dataclass(frozen=True, kw_only=True)
class CopiedRun:
    """The longest run of tokens that one clip shares with the training data.

    Attributes:
        clip: name of its file.
        tokens: length of the run; 0 if it is shorter than is looked for.
        seconds: the same in time.
        clip_seconds: where it begins in the clip.
        source: path of the training track.
        source_seconds: where it begins there.
    """

    clip: str
    tokens: int
    seconds: float
    clip_seconds: float
    source: str
    source_seconds: float


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Runs shared with the training data.

    Attributes:
        clips: of each clip that has tokens.
        reference: the longest run, in tokens, of each reference clip, for comparison; empty
            without a tokenizer.
        training_tokens: tokens searched.
    """

    clips: tuple[CopiedRun, ...]
    reference: tuple[int, ...]
    training_tokens: int


def find_copies(
    files: Sequence[Path],
    train: str | os.PathLike[str],
    reference: Iterable[Audio],
    tokenizer: Tokenizer | None,
) -> Copies:
    """Look for runs of tokens that clips, and reference music, share with training shards.

    Args:
        files: of the clips; those with a .btk file beside them are searched.
        train: folder of token shards.
        reference: read only if there is a tokenizer to encode it.
        tokenizer: of the clips.

    Raises:
        DataError: if no clip has tokens, or shards are missing or of another tokenizer.
    """
    corpus = TokenCorpus(train)
    shards = corpus.split("train")
    with_tokens = [path for path in files if path.with_suffix(".btk").is_file()]
    if not with_tokens or not shards:
        raise DataError(
            f"got {len(with_tokens)} clips with tokens and {len(shards)} training shards; expected "
            "some of each: generate with --save-tokens"
        )
    codes = [_codes(TokenGrid.load(path.with_suffix(".btk")), corpus) for path in with_tokens]
    if tokenizer:
        codes += [_codes(tokenizer.encode(audio), corpus) for audio in reference]
    runs = longest_shared_runs(codes, (np.asarray(corpus.codes(shard)) for shard in shards))
    spec = corpus.tokenizer
    per_token = spec.samples_per_frame / spec.sample_rate / spec.num_bands
    found = [
        CopiedRun(
            clip=path.name,
            tokens=run.tokens,
            seconds=run.tokens * per_token,
            clip_seconds=run.clip_start * per_token,
            source=shards[run.source].path if run.tokens else "",
            source_seconds=run.source_start * per_token
            + (shards[run.source].offset_samples / spec.sample_rate if run.tokens else 0.0),
        )
        for path, run in zip(with_tokens, runs, strict=False)
    ]
    return Copies(
        clips=tuple(found),
        reference=tuple(run.tokens for run in runs[len(with_tokens) :]),
        training_tokens=sum(shard.num_frames for shard in shards) * spec.num_bands,
    )


def _codes(grid: TokenGrid, corpus: TokenCorpus) -> np.ndarray:
    if grid.fingerprint != corpus.tokenizer.fingerprint:
        raise DataError(
            f"got tokens of the tokenizer {grid.fingerprint!r} and training shards of "
            f"{corpus.tokenizer.fingerprint!r}; expected one tokenizer"
        )
    return grid.codes[: grid.num_bands]
