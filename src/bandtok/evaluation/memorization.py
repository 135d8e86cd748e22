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
    search = _Search.of(sequences, seed)
    best = [NOTHING_SHARED] * len(sequences)
    for source, codes in enumerate(training):
        piece = as_sequence(codes)
        for index, clip_start, source_start, runs in search.diagonals(_run_hashes(piece, seed)):
            tokens = runs + seed - 1
            found = SharedRun(
                tokens=tokens, clip_start=clip_start, source=source, source_start=source_start
            )
            if tokens > best[index].tokens and _holds(found, sequences[index], piece):
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


@dataclass(frozen=True, kw_only=True)
class _Search:
    """The hashed runs of all clips.

    Attributes:
        hashes: uint64 [runs].
        clips: the clip of each.
        places: its first token in the clip.
        distinct: the hashes, sorted, each once.
    """

    hashes: np.ndarray
    clips: np.ndarray
    places: np.ndarray
    distinct: np.ndarray

    @classmethod
    def of(cls, sequences: list[np.ndarray], seed: int) -> _Search:
        parts = [_run_hashes(sequence, seed) for sequence in sequences]
        hashes = np.concatenate([np.zeros(0, np.uint64), *parts])
        sizes = [len(part) for part in parts]
        return cls(
            hashes=hashes,
            clips=np.repeat(np.arange(len(parts)), sizes),
            places=np.concatenate([np.zeros(0, np.int64), *map(np.arange, sizes)]),
            distinct=np.unique(hashes),
        )

    def diagonals(self, piece: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
        """Yield the longest row of equal runs of each clip that shares any with a piece.

        Args:
            piece: hashes of the piece's runs.

        Yields:
            Clip, first token there, first token in the piece, number of runs.
        """
        hits = np.flatnonzero(_is_in(piece, self.distinct))
        if not len(hits):
            return
        mine, theirs = self._pairs(piece, hits[np.argsort(piece[hits], kind="stable")])
        clips, places = self.clips[mine], self.places[mine]
        order = np.lexsort((places, theirs - places, clips))
        clips, places, theirs = clips[order], places[order], theirs[order]
        goes_on = (np.diff(clips) == 0) & (np.diff(places) == 1) & (np.diff(theirs) == 1)
        starts = np.flatnonzero(np.concatenate([[True], ~goes_on]))
        lengths = np.diff(np.append(starts, len(clips)))
        by_length = np.lexsort((-lengths, clips[starts]))
        _, firsts = np.unique(clips[starts][by_length], return_index=True)
        for row in by_length[firsts]:
            start = starts[row]
            yield int(clips[start]), int(places[start]), int(theirs[start]), int(lengths[row])

    def _pairs(self, piece: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return indices of equal runs: of clips, and of the piece.

        Args:
            piece: hashes of the piece's runs.
            hits: those that some clip has too, in the order of their hashes.
        """
        ordered = piece[hits]
        first = np.searchsorted(ordered, self.hashes, side="left")
        counts = np.searchsorted(ordered, self.hashes, side="right") - first
        # A long silence on either side makes very many pairs; the first of them suffice.
        counts = np.minimum(counts, max(1, _MAX_PAIRS // max(1, int((counts > 0).sum()))))
        mine = np.repeat(np.arange(len(self.hashes)), counts)
        step = np.arange(len(mine)) - np.repeat(np.cumsum(counts) - counts, counts)
        return mine, hits[np.repeat(first, counts) + step]


def _holds(run: SharedRun, clip: np.ndarray, piece: np.ndarray) -> bool:
    mine = clip[run.clip_start : run.clip_start + run.tokens]
    theirs = piece[run.source_start : run.source_start + run.tokens]
    return np.array_equal(mine, theirs)
