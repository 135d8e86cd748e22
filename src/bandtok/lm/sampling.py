"""Choosing one code from the model's scores: logits [codebook_size] -> code.

Guidance first, then temperature, then top-k, then top-p. Randomness comes only from the generator
handed in.
"""

from __future__ import annotations

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
    """Return the codes that may be sampled and their probabilities, likeliest first.

    Args:
        logits: float [codebook_size].
        config: temperature above 0, top_k and top_p.

    Returns:
        int64 [n] codes and float64 [n] probabilities that sum to 1; all codes in their own order if
        neither top_k nor top_p leaves any out.
    """
    size = len(logits)
    count = min(config.top_k or size, size)
    codes = np.arange(size)
    if count < size:
        codes = np.argpartition(logits, size - count)[size - count :]
    if count < size or config.top_p < 1.0:
        codes = codes[np.lexsort((codes, -logits[codes]))]  # equal scores: the lower code first
    scaled = logits[codes].astype(np.float64) / config.temperature
    probabilities = np.exp(scaled - scaled.max())
    probabilities /= probabilities.sum()
    if config.top_p < 1.0:
        # A code stays while those before it have not yet reached top_p; the first always stays.
        before = probabilities.cumsum() - probabilities
        keep = max(1, int((before < config.top_p).sum()))
        codes, probabilities = codes[:keep], probabilities[:keep]
        probabilities = probabilities / probabilities.sum()
    return codes, probabilities


def sample_code(logits: np.ndarray, config: SamplingConfig, rng: np.random.Generator) -> int:
    """Sample one code.

    Args:
        logits: float [codebook_size].
        config: how to sample.
        rng: the only source of randomness; one number is taken from it per call, so that streams
            stay in step whatever the settings.
    """
    chance = rng.random()
    if config.temperature == 0.0:
        return int(logits.argmax())
    codes, probabilities = filter_logits(logits, config)
    cumulative = probabilities.cumsum()
    place = int(np.searchsorted(cumulative, chance * cumulative[-1], side="right"))
    return int(codes[min(place, len(codes) - 1)])
