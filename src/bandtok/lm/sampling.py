"""Sampling a code per clip from the model's scores: logits [clips, codebook_size] -> codes [clips].

Temperature first, then top-k, then top-p. Randomness comes only from the generators handed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bandtok.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How codes are sampled.

    The defaults change nothing: they sample from the model's own distribution. Those of the
    product are the fields of :class:`bandtok.api.generation_config.GenerationConfig`.

    Args:
        temperature: above 1 is more varied, below 1 safer; 0 always takes the likeliest code.
        top_k: sample among this many likeliest codes; 0 means all.
        top_p: sample among the fewest codes that together have this probability; 1 means all.
        guidance_scale: how far to push from the scores without the text towards those with it; 1
            is no guidance and costs half.
        beat_guidance_scale: how far to push from the scores without the beat towards those with
            it, where there is one; 1 is as the training music keeps its beat, 0 is no beat.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance_scale: float = 1.0
    beat_guidance_scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.temperature < float("inf"):
            raise ConfigError(f"got temperature {self.temperature}; expected 0 or more")
        if self.top_k < 0:
            raise ConfigError(f"got top_k {self.top_k}; expected 0 (all) or more")
        if not 0.0 < self.top_p <= 1.0:
            raise ConfigError(f"got top_p {self.top_p}; expected above 0 and at most 1")
        for name in ("guidance_scale", "beat_guidance_scale"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"got {name} {getattr(self, name)}; expected 0 or more")


def filter_logits(logits: np.ndarray, config: SamplingConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of each clip that may be sampled, and their probabilities.

    Args:
        logits: float [clips, codebook_size].
        config: temperature above 0, top_k and top_p.

    Returns:
        int64 [clips, n] codes and float64 [clips, n] probabilities that sum to 1 per clip; 0 where
        top_p leaves a code out.
    """
    size = logits.shape[1]
    count = min(config.top_k or size, size)
    if count < size:
        codes = np.argpartition(logits, size - count, axis=1)[:, size - count :]
        codes.sort(axis=1)  # so that rounding of a score does not change the order
        logits = np.take_along_axis(logits, codes, axis=1)
    else:
        codes = np.broadcast_to(np.arange(size), logits.shape)
    scaled = logits.astype(np.float64) / config.temperature
    probabilities = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    if config.top_p < 1.0:
        order = np.argsort(-probabilities, axis=1, kind="stable")  # equal: the lower code first
        ordered = np.take_along_axis(probabilities, order, axis=1)
        # A code stays while those before it have not yet reached top_p; the first always stays.
        before = ordered.cumsum(axis=1) - ordered
        ordered[:, 1:][before[:, 1:] >= config.top_p] = 0
        np.put_along_axis(probabilities, order, ordered, axis=1)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    return codes, probabilities


def sample_codes(
    logits: np.ndarray, config: SamplingConfig, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Sample a code per clip, int64 [clips].

    Args:
        logits: float [clips, codebook_size].
        config: how to sample.
        rngs: one per clip, the only source of randomness; one number is taken from each per call,
            so that streams stay in step whatever the settings.
    """
    chances = np.array([rng.random() for rng in rngs])
    if config.temperature == 0.0:
        returned: np.ndarray = logits.argmax(axis=1)
        return returned
    codes, probabilities = filter_logits(logits, config)
    cumulative = probabilities.cumsum(axis=1)
    wanted = chances[:, None] * cumulative[:, -1:]
    # A code of no probability is never the first that exceeds what is wanted.
    places = (cumulative <= wanted).sum(axis=1)
    last = probabilities.shape[1] - 1 - (probabilities[:, ::-1] > 0).argmax(axis=1)
    result: np.ndarray = codes[np.arange(len(codes)), np.minimum(places, last)]
    return result
