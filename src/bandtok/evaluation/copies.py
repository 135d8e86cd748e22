"""Finds what a generated grid took over from the training data, token by token.

    codes [bands, frames], training codes -> the longest run of tokens found in both

Runs are looked for in the order in which a music model writes: frame by frame, lowest band first.
Every run of `seed` tokens is hashed once; runs that lie side by side on one diagonal are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from bandtok.errors import ConfigError, DataError

_BASE = 0x9E3779B97F4A7C15  # odd, so that its powers can be undone modulo 2**64
_MAX_PAIRS = 4_000_000
SEED_TOKENS = 16


@dataclass(frozen=True, kw_only=True)
class SharedRun:
    """The longest run of tokens that a clip shares with the training data.

    Attributes:
        tokens: its length; 0 means that no run of `seed` tokens is shared.
        clip_start: first token of it in the clip.
        source: index of the training piece that holds it.
        source_start: first token of it there.
    """

    tokens: int
    clip_start: int
    source: int
    source_start: int


NOTHING_SHARED = SharedRun(tokens=0, clip_start=0, source=0, source_start=0)


def longest_shared_runs(
    clips: Iterable[np.ndarray], training: Iterable[np.ndarray], seed: int = SEED_TOKENS
) -> list[SharedRun]:
    """Find the longest run of each clip in the training data; runs shorter than `seed` are not.

    Args:
        clips: integer codes [bands, frames].
        training: integer codes [bands, frames] of each piece; read one after another.
        seed: tokens of the shortest run that is looked for.

    Raises:
        ConfigError: if `seed` is not positive.
        DataError: if codes are not 2-D integers.
    """
    if seed < 1:
        raise ConfigError(f"got runs of {seed} tokens; expected at least 1")
    sequences = [as_sequence(codes) for codes in clips]
    best = [NOTHING_SHARED] * len(sequences)
    hashes = [_run_hashes(sequence, seed) for sequence in sequences]
    all_hashes = np.unique(np.concatenate([np.zeros(0, np.uint64), *hashes]))
    for source, codes in enumerate(training):
        piece = as_sequence(codes)
        piece_hashes = _run_hashes(piece, seed)
        places = np.flatnonzero(_is_in(piece_hashes, all_hashes))
        if not len(places):
            continue
        order = np.argsort(piece_hashes[places], kind="stable")
        for index, clip_hashes in enumerate(hashes):
            for in_clip, in_piece in _pairs(clip_hashes, piece_hashes, places[order]):
                start, length = _longest_diagonal(in_clip, in_piece)
                tokens = length + seed - 1
                if tokens <= best[index].tokens:
                    continue
                found = SharedRun(
                    tokens=tokens,
                    clip_start=int(in_clip[start]),
                    source=source,
                    source_start=int(in_piece[start]),
                )
                if _holds(found, sequences[index], piece):
                    best[index] = found
    return best


def as_sequence(codes: np.ndarray) -> np.ndarray:
    """Return tokens uint32 [bands * frames] in the order of a music model."""
    if codes.ndim != 2 or codes.dtype.kind not in "iu":
        raise DataError(
            f"got codes of shape {codes.shape} and type {codes.dtype}; "
            "expected integers [bands, frames]"
        )
    return np.ascontiguousarray(codes.T).ravel().astype(np.uint32)


def _run_hashes(sequence: np.ndarray, seed: int) -> np.ndarray:
    """Return a hash uint64 of each run of `seed` tokens, by a polynomial modulo 2**64."""
    if len(sequence) < seed:
        return np.zeros(0, np.uint64)
    mixed = (sequence.astype(np.uint64) + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    runs = np.zeros(len(sequence) - seed + 1, np.uint64)
    for place in range(seed):
        runs = runs * np.uint64(_BASE) + mixed[place : place + len(runs)]
    return runs


def _is_in(values: np.ndarray, sorted_values: np.ndarray) -> np.ndarray:
    if not len(sorted_values):
        return np.zeros(len(values), bool)
    places = np.searchsorted(sorted_values, values).clip(max=len(sorted_values) - 1)
    found: np.ndarray = sorted_values[places] == values
    return found


def _pairs(
    clip_hashes: np.ndarray, piece_hashes: np.ndarray, places: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield equal runs as (place in clip, place in piece), by diagonal and place.

    Args:
        clip_hashes, piece_hashes: of each run.
        places: of runs in the piece, in the order of their hashes.
    """
    ordered = piece_hashes[places]
    first = np.searchsorted(ordered, clip_hashes, side="left")
    counts = np.searchsorted(ordered, clip_hashes, side="right") - first
    if not counts.any():
        return
    # One long silence on either side makes very many pairs; a part of them tells as much.
    room = max(1, _MAX_PAIRS // int((counts > 0).sum()))
    counts = np.minimum(counts, room)
    in_clip = np.repeat(np.arange(len(clip_hashes)), counts)
    step = np.arange(len(in_clip)) - np.repeat(np.cumsum(counts) - counts, counts)
    in_piece = places[np.repeat(first, counts) + step]
    order = np.lexsort((in_clip, in_piece - in_clip))
    yield in_clip[order], in_piece[order]


def _longest_diagonal(in_clip: np.ndarray, in_piece: np.ndarray) -> tuple[int, int]:
    """Return start and number of the most pairs that follow one another on one diagonal."""
    goes_on = (np.diff(in_clip) == 1) & (np.diff(in_piece) == 1)
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    lengths = np.diff(np.append(starts, len(in_clip)))
    longest = int(lengths.argmax())
    return int(starts[longest]), int(lengths[longest])


def _holds(run: SharedRun, clip: np.ndarray, piece: np.ndarray) -> bool:
    mine = clip[run.clip_start : run.clip_start + run.tokens]
    theirs = piece[run.source_start : run.source_start + run.tokens]
    return np.array_equal(mine, theirs)
