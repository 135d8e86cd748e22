"""Text as states that a music model is conditioned on: prompts -> states [batch, length, dim].

An empty prompt has no valid state at all, which is what "unconditional" means to the model. The
encoders with learned weights are in `text_encoder` and `pretrained_text`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bandtok.errors import ConfigError

MAX_TEXT_LENGTH = 64
LONGEST_TEXT = 20_000
"""Characters; what comes after them would not be kept in any case, but would take time."""


@dataclass(frozen=True, kw_only=True)
class TextEmbeddings:
    """Encoded prompts.

    Args:
        states: float32 [batch, length, dim].
        mask: bool [batch, length], True where a state is real. A row without any True is an
            unconditional one.
    """

    states: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        if self.states.ndim != 3 or self.mask.shape != self.states.shape[:2]:
            raise ConfigError(
                f"got states {tuple(self.states.shape)} and mask {tuple(self.mask.shape)}; "
                "expected [batch, length, dim] and [batch, length]"
            )

    def __len__(self) -> int:
        return int(self.states.shape[0])

    @property
    def is_empty(self) -> bool:
        """Whether no row has any text."""
        return not bool(self.mask.any())

    def rows(self, indices: Sequence[int]) -> TextEmbeddings:
        """Return these rows, in this order."""
        chosen = list(indices)
        return TextEmbeddings(states=self.states[chosen], mask=self.mask[chosen])


class TextEncoder(Protocol):
    """Anything that turns prompts into states."""

    @property
    def dim(self) -> int:
        """Width of the states."""
        ...

    def encode(self, texts: Sequence[str]) -> TextEmbeddings:
        """Encode prompts, the mean of the states first; "" gives a row with nothing valid in it."""
        ...

    def fits(self, text: str) -> bool:
        """Return whether all of a prompt is encoded, not only its beginning."""
        ...

    def understands(self, text: str) -> bool:
        """Return whether a prompt seems to be in a language that the encoder has learned."""
        ...


class HashTextEncoder:
    """Maps every word to a fixed pseudo-random vector; for tests and toys, it knows no language.

    Args:
        dim: width of the states.
    """

    def __init__(self, dim: int = 16) -> None:
        self._dim = dim

    @property
    def dim(self) -> int:
        return self._dim

    def encode(self, texts: Sequence[str]) -> TextEmbeddings:
        """Encode prompts word by word, the mean of the words first."""
        return pad_states([self._encode_one(text) for text in texts], self._dim)

    def fits(self, text: str) -> bool:
        return len(text.split()) <= MAX_TEXT_LENGTH

    def understands(self, text: str) -> bool:
        return True

    def _encode_one(self, text: str) -> np.ndarray:
        words = text.lower().split()[:MAX_TEXT_LENGTH]
        if not words:
            return np.zeros((0, self._dim), np.float32)
        return pooled_first(np.stack([self._word(word) for word in words]))

    def _word(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
        return np.random.default_rng(seed).standard_normal(self._dim).astype(np.float32)


def pad_states(rows: Sequence[np.ndarray], dim: int) -> TextEmbeddings:
    """Batch states of different lengths.

    Args:
        rows: float [length, dim] each; length 0 is an unconditional row.
        dim: width of the states.
    """
    length = max([1, *(len(row) for row in rows)])
    states = np.zeros((len(rows), length, dim), np.float32)
    mask = np.zeros((len(rows), length), np.bool_)
    for index, row in enumerate(rows):
        states[index, : len(row)] = row
        mask[index, : len(row)] = True
    return TextEmbeddings(states=states, mask=mask)


def pooled_first(states: np.ndarray) -> np.ndarray:
    """Put the mean of states [length, dim] in front of them: [1 + length, dim]."""
    return np.concatenate((states.mean(axis=0, keepdims=True), states))
