"""Choosing one code from the model's scores: logits [codebook_size] -> code.

Guidance first, then temperature, then top-k, then top-p. Randomness comes only from the generator
handed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bandtok.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How codes are sampled.

    The defaults change nothing: they sample from the model's own distribution. Those of the
    product are the fields of :class:`bandtok.api.generation_config.GenerationConfig`.

    Args:
        temperature: above 1 is more varied, below 1 safer; 0 always takes the likeliest code.
        top_k: draw among this many likeliest codes; 0 means all.
        top_p: draw among the fewest codes that together have this probability; 1 means all.
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


def filter_logits(logits: Tensor, config: SamplingConfig) -> tuple[Tensor, Tensor]:
    """Return the codes that may be drawn and their probabilities, in any order.

    Args:
        logits: float [codebook_size].
        config: temperature above 0, top_k and top_p.

    Returns:
        int64 [n] codes and float [n] probabilities that sum to 1.
    """
    count = min(config.top_k or logits.shape[0], logits.shape[0])
    if count == logits.shape[0] and config.top_p == 1.0:
        return torch.arange(count), torch.softmax(logits / config.temperature, dim=0)
    values, codes = logits.topk(count)
    probabilities = torch.softmax(values / config.temperature, dim=0)
    if config.top_p < 1.0:
        # A code stays while those before it have not yet reached top_p; the first always stays.
        before = probabilities.cumsum(dim=0) - probabilities
        keep = max(1, int((before < config.top_p).sum()))
        codes, probabilities = codes[:keep], probabilities[:keep]
        probabilities = probabilities / probabilities.sum()
    return codes, probabilities


def sample_code(logits: Tensor, config: SamplingConfig, generator: torch.Generator) -> int:
    """Draw one code.

    Args:
        logits: float [codebook_size] on the CPU.
        config: how to draw.
        generator: the only source of randomness; one number is taken from it a call, so that
            streams stay in step whatever the settings.
    """
    rng = torch.rand((), generator=generator, dtype=torch.float64)
    if config.temperature == 0.0:
        return int(logits.argmax())
    codes, probabilities = filter_logits(logits, config)
    cumulative = probabilities.to(torch.float64).cumsum(dim=0)
    place = int(torch.searchsorted(cumulative, rng * cumulative[-1], right=True))
    return int(codes[min(place, codes.shape[0] - 1)])
