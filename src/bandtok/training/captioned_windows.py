"""Windows of token shards with words for them, and the words as states.

The one place that knows where a window's caption, beat and tempo come from.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bandtok.data.captions import full_window_caption, window_caption
from bandtok.data.shards import TokenCorpus
from bandtok.data.token_windows import TokenWindows, WindowSampler
from bandtok.lm.beat import BeatGrid, tempo_bin
from bandtok.lm.text_embeddings import TextEmbeddings, TextEncoder, pad_states

_KNOWN_CAPTIONS = 4096


class CaptionStates:
    """Text states of captions; the last few thousand distinct ones are not encoded again.

    Args:
        encoder: turns captions into states.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._known: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def __call__(self, captions: Sequence[str]) -> TextEmbeddings:
        with self._lock:  # steps may be prepared in another thread
            return self._states(captions)

    def _states(self, captions: Sequence[str]) -> TextEmbeddings:
        if len(self._known) > _KNOWN_CAPTIONS:
            self._known.clear()
        new = [text for text in dict.fromkeys(captions) if text not in self._known]
        if new:
            encoded = self._encoder.encode(new)
            for text, states, mask in zip(new, encoded.states, encoded.mask, strict=True):
                self._known[text] = states[mask]
        return pad_states([self._known[text] for text in captions], self._encoder.dim)


@dataclass(frozen=True, kw_only=True)
class Captioned:
    """Windows with captions and beats.

    Attributes:
        codes: int64 [windows, bands, frames].
        captions: of each, "" for none.
        beat_grid: of each window.
        tempo: int64 [windows], the tempo bin of each, -1 where the tempo is unknown or it
            has no caption.
    """

    codes: Tensor
    captions: list[str]
    beat_grid: BeatGrid
    tempo: Tensor


class CaptionedWindows:
    """Windows of one split, each with words for it.

    Args:
        corpus: token shards.
        split: of the corpus; a "valid" that is empty takes the last training shard.
        window_frames: length of a window.
        caption_dropout: probability that a window gets no caption.
    """

    def __init__(
        self, corpus: TokenCorpus, split: str, window_frames: int, caption_dropout: float = 0.0
    ) -> None:
        shards = corpus.split(split) or corpus.split("train")[-1:]
        self.windows = WindowSampler(corpus, shards, window_frames)
        self._caption_dropout, self._frame_rate = caption_dropout, corpus.tokenizer.frame_rate

    def sample(self, count: int, rng: np.random.Generator) -> Captioned:
        """Return random windows, each with one of very many wordings, now and then with none."""
        windows = self.windows.sample(count, rng)
        frames = self.windows.window_frames
        captions = [
            window_caption(shard, first, frames, rng)
            for shard, first in zip(windows.shards, windows.first_frames, strict=True)
        ]
        dropped = rng.random(count) < self._caption_dropout
        kept = ["" if drop else text for text, drop in zip(captions, dropped, strict=True)]
        return self._captioned(windows, kept)

    def spread(self, count: int) -> Captioned:
        """Return fixed windows and their full captions."""
        windows = self.windows.spread(count)
        frames = self.windows.window_frames
        captions = [
            full_window_caption(shard, first, frames)
            for shard, first in zip(windows.shards, windows.first_frames, strict=True)
        ]
        return self._captioned(windows, captions)

    def _captioned(self, windows: TokenWindows, captions: list[str]) -> Captioned:
        frames, rate = self.windows.window_frames, self._frame_rate
        places = list(zip(windows.shards, windows.first_frames, strict=True))
        beats = np.array([shard.beat_at(first, frames) for shard, first in places])
        segments = [shard.segment_at(first, frames) for shard, first in places]
        # A tempo without a beat: described before beats were, and not known to have none.
        tempo = [
            tempo_bin(60.0 * rate * step)
            if caption and segment is not None and (step > 0 or not segment.bpm)
            else -1
            for segment, caption, step in zip(segments, captions, beats[:, 0], strict=True)
        ]
        return Captioned(
            codes=windows.codes,
            captions=captions,
            beat_grid=BeatGrid(beats_per_frame=beats[:, 0], beats=beats[:, 1]),
            tempo=torch.tensor(tempo),
        )


def has_beats(corpus: TokenCorpus) -> bool:
    """Return whether the beat of any music is known."""
    return any(
        segment.bpm and segment.beat_seconds is not None
        for shard in corpus.shards
        for segment in shard.segments
    )


def other_captions(captions: Sequence[str]) -> list[str]:
    """Return for each caption that of another window, with other words where there is one."""
    size = len(captions)
    found = []
    for index, own in enumerate(captions):
        # Starting half-way round, so that windows of one track do not all get the same neighbor.
        others = [captions[(index + size // 2 + shift) % size] for shift in range(size)]
        found.append(next((text for text in others if text != own), own))
    return found
