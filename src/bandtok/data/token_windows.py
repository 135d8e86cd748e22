"""Windows of token shards, sampled at random or spread evenly, as batches of codes.

Knows nothing of captions or of how codes become a sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bandtok.data.shards import Shard, TokenCorpus
from bandtok.errors import DataError


@dataclass(frozen=True, kw_only=True)
class TokenWindows:
    """A batch of windows.

    Attributes:
        codes: int64 [windows, bands, frames].
        shards: where each comes from.
        first_frames: where in its shard each begins.
    """

    codes: Tensor
    shards: list[Shard]
    first_frames: list[int]


class WindowSampler:
    """Random windows of shards, each shard sampled in proportion to its length.

    Args:
        corpus: where the codes are.
        shards: those to sample from; shorter ones than a window are left out.
        window_frames: length of a window.

    Raises:
        DataError: if no shard is long enough.
    """

    def __init__(self, corpus: TokenCorpus, shards: Sequence[Shard], window_frames: int) -> None:
        self.shards = [shard for shard in shards if shard.num_frames >= window_frames]
        if not self.shards:
            raise DataError(
                f"none of {len(shards)} shards has {window_frames} frames; "
                "use longer music or --set window_frames to fewer"
            )
        self.window_frames = window_frames
        self.codes = [corpus.codes(shard) for shard in self.shards]
        lengths = np.array([shard.num_frames for shard in self.shards], dtype=np.float64)
        self._shares = lengths / lengths.sum()

    def sample(self, count: int, rng: np.random.Generator) -> TokenWindows:
        """Return random windows."""
        chosen = rng.choice(len(self.shards), size=count, p=self._shares).tolist()
        starts = [self._start(index, rng.random()) for index in chosen]
        return self._windows(chosen, starts)

    def spread(self, count: int) -> TokenWindows:
        """Return at most `count` fixed windows, shard after shard, then further into each."""
        places = [index % len(self.shards) for index in range(count)]
        rounds = -(-count // len(self.shards))
        depths = [(index // len(self.shards) + 0.5) / rounds for index in range(count)]
        starts = [self._start(place, depth) for place, depth in zip(places, depths, strict=True)]
        return self._windows(places, starts)

    def band_counts(self, codebook_size: int) -> np.ndarray:
        """Return how often each band uses each code, int64 [bands, codebook_size]."""
        bands = self.codes[0].shape[0]
        counts = np.zeros((bands, codebook_size), np.int64)
        for codes in self.codes:
            for band in range(bands):
                counts[band] += np.bincount(codes[band], minlength=codebook_size)
        return counts

    def _start(self, index: int, depth: float) -> int:
        return int(depth * (self.shards[index].num_frames - self.window_frames + 1))

    def _windows(self, chosen: Sequence[int], starts: Sequence[int]) -> TokenWindows:
        rows = [
            self.codes[index][:, start : start + self.window_frames].astype(np.int64)
            for index, start in zip(chosen, starts, strict=True)
        ]
        return TokenWindows(
            codes=torch.from_numpy(np.stack(rows)),
            shards=[self.shards[index] for index in chosen],
            first_frames=list(starts),
        )
