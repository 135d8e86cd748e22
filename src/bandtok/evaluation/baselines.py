"""Sets of sounds that a music model has to beat, made of the reference's own clips.

    reference Audio -> noise, its own tokens decoded, and those tokens in a wrong order

A measure that ignores the order of right tokens is no measure of music.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bandtok.api.tokenizer import Tokenizer
from bandtok.signal.audio import Audio
from bandtok.tokens.grid import TokenGrid

Reorder = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """One way to make a clip out of a clip.

    Attributes:
        name: as written in tables.
        description: for the reader of a report.
        reorder: takes codes [bands, frames] to the codes that are decoded; None makes noise.
    """

    name: str
    description: str
    reorder: Reorder | None


def _as_they_are(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return codes


def _reversed(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return codes[:, ::-1]


def _shuffled_frames(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return codes[:, generator.permutation(codes.shape[1])]


def _shuffled_tokens(codes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.permuted(codes.ravel()).reshape(codes.shape)


NOISE = Baseline(
    name="noise", description="white noise as loud as each reference clip", reorder=None
)
TOKEN_BASELINES = (
    Baseline(
        name="tokens",
        description="reference clips through the tokenizer: as near as any codes can come",
        reorder=_as_they_are,
    ),
    Baseline(
        name="reversed",
        description="the same tokens, frames from last to first",
        reorder=_reversed,
    ),
    Baseline(
        name="shuffled frames",
        description="the same tokens, frames in random order",
        reorder=_shuffled_frames,
    ),
    Baseline(
        name="shuffled tokens",
        description="the same tokens, all in random order",
        reorder=_shuffled_tokens,
    ),
)


def noise_like(audio: Audio, generator: np.random.Generator) -> Audio:
    """Return white noise of the length and level of a mono clip."""
    level = np.sqrt(np.square(audio.waveform.astype(np.float64)).mean())
    noise = generator.standard_normal(audio.waveform.shape) * level
    return Audio(noise.astype(np.float32), audio.sample_rate)


def reordered(
    grid: TokenGrid, reorder: Reorder, tokenizer: Tokenizer, generator: np.random.Generator
) -> Audio:
    """Decode a mono grid after its tokens were put in another order."""
    codes = np.ascontiguousarray(reorder(grid.codes, generator))
    return tokenizer.decode(replace(grid, codes=codes))
