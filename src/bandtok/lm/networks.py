"""Networks as generation calls them: functions from arrays to arrays, whatever computes them.

Rows are clips, or a clip and guidance branch each. `bandtok.backends` supplies them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bandtok.lm.config import MusicLMConfig
from bandtok.lm.reranker_config import RerankerConfig
from bandtok.lm.text_embeddings import TextEmbeddings


@dataclass(frozen=True, kw_only=True)
class TokenInputs:
    """What a language model reads at consecutive positions of its window.

    Attributes:
        previous: int64 [rows, length], the entry of the code read before.
        neighbors: int64 [rows, length, len(NEIGHBORS)], entries of the neighbors known by then.
        bands: int64 [length], of the cells to be generated.
        beat: float32 [rows, length, model_dim], what the beat adds to the input; None for nothing.
        cos, sin: float32 [2, length, head_dim / 2] of the rotary angles, of queries and of keys.
    """

    previous: np.ndarray
    neighbors: np.ndarray
    bands: np.ndarray
    beat: np.ndarray | None
    cos: np.ndarray
    sin: np.ndarray


class TokenDecoder(Protocol):
    """A language model in the middle of a window: it keeps the keys and values of what it read."""

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` positions; 0 starts a new window."""
        ...

    def rows(self, indices: Sequence[int]) -> TokenDecoder:
        """Return a decoder of these rows that has read what this one has."""
        ...

    def extend(self, inputs: TokenInputs) -> np.ndarray:
        """Read positions: all that are known when the window starts, later one at a time.

        Returns:
            float32 [rows, codebook_size] logits of the code at the last of them; the next call may
            overwrite it.
        """
        ...


class LanguageModel(Protocol):
    """Text and known codes -> logits of the next code."""

    @property
    def config(self) -> MusicLMConfig: ...

    @property
    def num_parameters(self) -> int: ...

    def condition(self, text: TextEmbeddings | None, rows: int) -> np.ndarray:
        """Return scale and shift of every norm, float32 [rows, 2 * num_norms, model_dim].

        Raises:
            ConfigError: if the text has another number of rows, or another width.
        """
        ...

    def tempo_scores(self, text: TextEmbeddings) -> np.ndarray:
        """Return logits of the tempos that texts suggest, float32 [rows, TEMPO_BINS + 1].

        Only of a model that has learned a beat.
        """
        ...

    def embed_beat(self, features: np.ndarray) -> np.ndarray:
        """Return float32 [rows, frames, model_dim] of `BeatGrid.features`; 0 without a beat."""
        ...

    def decoder(self, condition: np.ndarray) -> TokenDecoder:
        """Return a decoder of rows, conditioned as `condition` returned."""
        ...


class RerankerNetwork(Protocol):
    """Scores how well codes match a text."""

    @property
    def config(self) -> RerankerConfig: ...

    def scores(self, codes: np.ndarray, text: TextEmbeddings) -> np.ndarray:
        """Return the cosine of codes int64 [clips, bands, frames] and text, float32 [clips].

        Raises:
            GridError: if there is no frame or another number of bands.
        """
        ...
