"""Tokenizer training: reconstruct the mel; later on, against patch discriminators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from bandtok.data.waveforms import WaveformStore
from bandtok.errors import ConfigError
from bandtok.evaluation.usage import code_statistics
from bandtok.tokenizer.config import TokenizerConfig
from bandtok.tokenizer.mel_image import MelImageConfig
from bandtok.tokenizer.mel_tokenizer import MelTokenizer, TokenizerOutput
from bandtok.torch_checkpoint import save_network, spec_for, tokenizer_network
from bandtok.training.codebooks import rule_for
from bandtok.training.images import stack_images, usage_image
from bandtok.training.latent_regularizers import LatentPredictor, smoothness_loss
from bandtok.training.loop import update
from bandtok.training.loss_table import LossTable, weighted_sum
from bandtok.training.mel_losses import flux_loss, loud_mel_loss, mel_loss, texture_loss
from bandtok.training.mel_task import (
    MelTask,
    MelTraining,
    comparison_image,
    reconstruction_numbers,
)
from bandtok.training.precision import autocast


@dataclass(frozen=True, kw_only=True)
class TokenizerTraining(MelTraining):
    """A complete tokenizer run.

    Attributes:
        commitment_weight: of the distance from latents to their entries.
        num_scales: of the mel discriminator.
        quantize_start_step: steps without the codebook; k-means over fresh batches then starts it.
        quantizer_type: how entries follow the data: "ema", "gradient", "simvq" or "lattice".
        codebook_learning_rate: for the rules that have one.
        codebook_decay: a step, of the moving averages that entries follow.
        start_vectors_per_entry: latents of fresh batches that k-means has for each entry.
        rotation: gradients pass the codebook by rotation instead of straight through.
        check_dead_codes_every: steps between replacements of dead entries; None for never.
        smoothness_weight: of how far latents move from frame to frame, in their own spread.
        predictability_weight: of how well a small causal network predicts the next frame's latents.
        freeze_codes: train only the decoder, so that every code stays what it is. `precision` then
            applies to the decoder; without it, to the discriminators alone.
        keep_codebook: begin with the codebook of `init` instead of one found by k-means. Codes
            change all the same, as encoder and entries move.
    """

    network: MelImageConfig = field(default_factory=TokenizerConfig)
    commitment_weight: float = 0.25
    num_scales: int = 3
    quantize_start_step: int = 200
    quantizer_type: str = "ema"
    codebook_learning_rate: float = 2e-3
    codebook_decay: float = 0.99
    start_vectors_per_entry: int = 16
    rotation: bool = False
    check_dead_codes_every: int | None = 20
    smoothness_weight: float = 0.0
    predictability_weight: float = 0.0
    freeze_codes: bool = False
    keep_codebook: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_mel_frames % self.network.reduction:
            raise ConfigError(
                f"got crop_mel_frames {self.crop_mel_frames}; "
                f"expected a multiple of {self.network.reduction}"
            )
        if not 0 <= self.codebook_decay < 1:
            raise ConfigError(f"got codebook_decay {self.codebook_decay}; expected 0 to below 1")
        if self.start_vectors_per_entry < 1:
            raise ConfigError(
                f"got start_vectors_per_entry {self.start_vectors_per_entry}; expected 1 or more"
            )

    @property
    def keeps_codebook(self) -> bool:
        return self.freeze_codes or self.keep_codebook


class TokenizerTask(MelTask):
    """Tokenizer training for the loop; see loop.TrainingTask."""

    recipe: TokenizerTraining

    def __init__(
        self, recipe: TokenizerTraining, train: WaveformStore, valid: WaveformStore
    ) -> None:
        super().__init__(recipe, train, valid)
        self.network = tokenizer_network(recipe.network).to(self.device)
        self.add_discriminators("mel", num_scales=recipe.num_scales)
        self.network.quantizer.rotation = recipe.rotation
        for codebook in self.network.quantizer.codebooks():
            codebook.decay = recipe.codebook_decay
        self.rule = rule_for(
            recipe.quantizer_type, self.network.quantizer, recipe.codebook_learning_rate
        )
        self.latent_predictor = (
            LatentPredictor(recipe.network.code_dim).to(self.device)
            if recipe.predictability_weight
            else None
        )
        if recipe.freeze_codes:
            self.network.encoder.requires_grad_(False)
        discriminator_trainer = self.discriminator_trainers["mel"]
        self.modules: dict[str, nn.Module] = {
            "network": self.network,
            "discriminator": discriminator_trainer.discriminator,
            "codebook": self.rule.module,
        }
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizers: dict[str, Optimizer] = {
            "network": AdamW(
                trained, recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
            ),
            "discriminator": discriminator_trainer.optimizer,
            **self.rule.optimizers,
        }
        if self.latent_predictor is not None:
            self.modules["latent_predictor"] = self.latent_predictor
            self.optimizers["latent_predictor"] = AdamW(
                self.latent_predictor.parameters(), recipe.learning_rate
            )
        with torch.no_grad():
            self.validation_mel = self.log_mel(self.validation)

    def step(self, step: int) -> dict[str, float]:
        """Reconstruct, compute the losses, update; then move the codebook."""
        recipe = self.recipe
        self.network.train()
        quantize = recipe.keeps_codebook or step >= recipe.quantize_start_step
        if step == recipe.quantize_start_step and not recipe.keeps_codebook:
            self._initialize_codebook(step)
        mel = self._mel(step)
        output = self._forward(mel, quantize)
        pair = (self.normalized(output.mel), self.normalized(mel))
        losses = weighted_sum(
            {
                **self._mel_losses(output.mel, mel),
                **({} if recipe.freeze_codes else self._latent_losses(output, quantize)),
                **self.adversarial_losses(step, {"mel": pair}),
            }
        )
        numbers = losses.numbers() | {"gradient_norm": self._update(losses.total)}
        if quantize and not recipe.freeze_codes:
            numbers |= self._move_codebook(step, output)
        return numbers

    def validate(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, MelTokenizer)
        rebuilt, codes = self._reconstruct(network)
        return {
            **reconstruction_numbers(self.validation_mel, rebuilt, network.config.mel),
            "loud_mel_loss": float(loud_mel_loss(rebuilt, self.validation_mel)),
            **usage_numbers(network.quantizer.rows_by_codebook(codes)),
        }

    def log_images(self, network: nn.Module) -> dict[str, np.ndarray]:
        assert isinstance(network, MelTokenizer)
        rebuilt, codes = self._reconstruct(network)
        usage = usage_image(codes.cpu(), network.config.codebook_size)
        return {
            "mel-original-reconstruction": comparison_image(self.validation_mel, rebuilt),
            "usage-per-band": stack_images({"use of codes by band, lowest below": usage}),
        }

    def export(self, network: nn.Module, folder: Path) -> None:
        save_network(network, folder, spec_for(network).name)

    def _forward(self, mel: Tensor, quantize: bool) -> TokenizerOutput:
        """Run the network; frozen codes are found in full precision, as they are in use."""
        network = self.network
        if not self.recipe.freeze_codes:
            output: TokenizerOutput = network(mel, quantize=quantize)
            return output
        with torch.no_grad():
            latents = network.encode_latents(mel)
            result = network.quantizer(latents)
        with autocast(self.device, self.recipe.precision):
            decoded = network.decode_latents(result.quantized)
        return TokenizerOutput(
            mel=decoded,
            latents=latents,
            codes=result.codes,
            commitment_loss=result.commitment_loss,
        )

    def _mel_losses(self, estimate: Tensor, mel: Tensor) -> LossTable:
        recipe = self.recipe
        pair = (self.normalized(estimate), self.normalized(mel))
        return {
            "mel_loss": (recipe.mel_weight, lambda: mel_loss(estimate, mel)),
            "loud_mel_loss": (recipe.loud_weight, lambda: loud_mel_loss(estimate, mel)),
            "texture_loss": (recipe.texture_weight, lambda: texture_loss(*pair)),
            "flux_loss": (recipe.flux_weight, lambda: flux_loss(*pair)),
        }

    def _latent_losses(self, output: TokenizerOutput, quantized: bool) -> LossTable:
        recipe, latent_predictor = self.recipe, self.latent_predictor
        table: dict[str, tuple[float, Callable[[], Tensor]]] = {
            "smoothness_loss": (
                recipe.smoothness_weight,
                lambda: smoothness_loss(output.latents),
            )
        }
        if quantized:
            table["commitment_loss"] = (recipe.commitment_weight, lambda: output.commitment_loss)
        if latent_predictor is not None:
            table["predictability_loss"] = (
                recipe.predictability_weight,
                lambda: latent_predictor(output.latents),
            )
        return table

    def _update(self, total: Tensor) -> float:
        if self.latent_predictor is not None:
            self.optimizers["latent_predictor"].zero_grad(set_to_none=True)
        norm = update(total, self.network, self.optimizers["network"])
        if self.latent_predictor is not None:
            self.optimizers["latent_predictor"].step()
        return norm

    def _mel(self, step: int) -> Tensor:
        with torch.no_grad():
            mel: Tensor = self.log_mel(self.waveforms(step))
        return mel

    def _initialize_codebook(self, step: int) -> None:
        """Run k-means over latents of fresh batches."""
        wanted = self.recipe.start_vectors_per_entry * self.recipe.network.codebook_size
        rows: list[Tensor] = []
        with torch.no_grad():
            while sum(map(len, rows)) < wanted:
                latents = self.network.encode_latents(self._mel(step + 1_000_000 + len(rows)))
                rows.append(latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1]))
        self.rule.start(torch.cat(rows), self._generator(step))

    def _move_codebook(self, step: int, output: TokenizerOutput) -> dict[str, float]:
        latents, every = output.latents.detach(), self.recipe.check_dead_codes_every
        self.rule.move(latents, output.codes)
        rows = self.network.quantizer.rows_by_codebook(output.codes)
        numbers = {"batch_codes_used": fmean(float(len(part.unique())) for part in rows)}
        if every and step % every == 0 and step < 0.9 * self.recipe.loop.steps:
            numbers["reset_codes"] = float(
                self.rule.reset_dead_codes(latents, self._generator(step))
            )
        return numbers

    def _generator(self, step: int) -> torch.Generator:
        return torch.Generator().manual_seed(self.recipe.loop.seed * 7_919 + step)

    def _reconstruct(self, network: MelTokenizer) -> tuple[Tensor, Tensor]:
        codes = torch.cat([network.encode_mel(part) for part in self.validation_mel.split(8)])
        mel = torch.cat([network.decode_codes(part) for part in codes.split(8)])
        return mel, codes


def usage_numbers(rows: Sequence[Tensor]) -> dict[str, float]:
    """Return how the codebooks are used: the mean over them and, of several, each.

    Args:
        rows: the codes that each codebook gave, int64 of any shape with at least one.
    """
    found = [code_statistics(torch.bincount(codes.reshape(-1)).cpu().numpy()) for codes in rows]
    numbers = {
        "codes_used": fmean(float(one.used_codes) for one in found),
        "entropy_bits": fmean(one.entropy_bits for one in found),
    }
    if len(found) > 1:
        for index, one in enumerate(found):
            numbers[f"codes_used_{index:02}"] = float(one.used_codes)
            numbers[f"entropy_bits_{index:02}"] = one.entropy_bits
    return numbers
