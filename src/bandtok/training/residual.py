"""Residual tokenizer training: as the band tokenizer's, with quantizer dropout."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from bandtok.data.waveforms import WaveformStore
from bandtok.errors import ConfigError
from bandtok.tokenizer.residual_config import ResidualConfig
from bandtok.tokenizer.residual_quantizer import ResidualQuantizer
from bandtok.training.tokenizer import TokenizerTask, TokenizerTraining


@dataclass(frozen=True, kw_only=True)
class ResidualTraining(TokenizerTraining):
    """A complete residual tokenizer run.

    Attributes:
        layer_dropout: share of the items of a batch that are decoded from their first layers
            alone, one to all of them alike.
    """

    network: ResidualConfig = field(default_factory=ResidualConfig)
    start_vectors_per_entry: int = 4
    layer_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.layer_dropout <= 1:
            raise ConfigError(f"got layer_dropout {self.layer_dropout}; expected 0 to 1")


class ResidualTask(TokenizerTask):
    """Residual tokenizer training for the loop; see loop.TrainingTask."""

    recipe: ResidualTraining

    def __init__(
        self, recipe: ResidualTraining, train: WaveformStore, valid: WaveformStore
    ) -> None:
        super().__init__(recipe, train, valid)

    def step(self, step: int) -> dict[str, float]:
        """Sample how many layers each item of the batch gets; then as for band tokens."""
        recipe, quantizer = self.recipe, self.network.quantizer
        assert isinstance(quantizer, ResidualQuantizer)
        if recipe.layer_dropout:
            quantizer.kept_layers = sample_num_layers(
                recipe.batch_size,
                recipe.network.num_layers,
                recipe.layer_dropout,
                self._generator(step),
            )
        return super().step(step)


def sample_num_layers(
    batch_size: int, num_layers: int, dropout: float, generator: torch.Generator
) -> Tensor:
    """Sample how many layers each item keeps, int64 [batch_size], 1 to `num_layers`."""
    sampled = torch.randint(1, num_layers + 1, (batch_size,), generator=generator)
    dropped = torch.rand(batch_size, generator=generator) < dropout
    return torch.where(dropped, sampled, num_layers)
