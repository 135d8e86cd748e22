"""The tokenizer's game: reconstruct the mel; later on, against patch discriminators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from bandtok.adversarial.discriminators import MultiScaleMelDiscriminator
from bandtok.checkpoint import save_network
from bandtok.data.waveforms import Augmentation, CropSampler, WaveformStore
from bandtok.errors import ConfigError
from bandtok.evaluation.signal_measures import total_variation_ratio
from bandtok.evaluation.usage import code_statistics
from bandtok.layers.mel_image import MelImageConfig
from bandtok.layers.mel_tokenizer import MelTokenizer, TokenizerOutput
from bandtok.mel import LogMel, mel_bin_centres_hz
from bandtok.networks import kind_of, tokenizer_network
from bandtok.tokenizer.config import TokenizerConfig
from bandtok.training.adversary import Adversary
from bandtok.training.codebooks import rule_for
from bandtok.training.device import autocast, training_device
from bandtok.training.distances import flux_loss, loud_mel_loss, texture_loss
from bandtok.training.images import mel_image, stack_images, usage_image
from bandtok.training.loop import LoopConfig, update
from bandtok.training.regularity import Foresight, smoothness_loss


@dataclass(frozen=True, kw_only=True)
class TokenizerTraining:
    """A complete tokenizer run.

    Attributes:
        crop_mel_frames: length of a training crop in mel frames.
        quantize_after: steps without the codebook; k-means over fresh batches then starts it.
        codebook_rule: how entries follow the data: "ema", "gradient", "simvq" or "lattice".
        codebook_learning_rate: for the rules that have one.
        codebook_decay: a step, of the moving averages that entries follow.
        start_vectors_per_entry: latents of fresh batches that k-means has for each entry.
        rotation: gradients pass the codebook by rotation instead of straight through.
        loud_weight: of the distance in the loudest cells of each frame (`loud_mel_loss`).
        revive_every: steps between replacements of dead entries; None for never.
        smoothness_weight: of how far latents move from frame to frame, in their own spread.
        prediction_weight: of how well a small causal network foresees the next frame's latents.
        texture_weight: of how much the mel changes from cell to cell (`texture_loss`).
        flux_weight: of when and how much it rises (`flux_loss`).
        precision: "float32", or "bfloat16" for the convolutions of decoder and discriminators.
        device: "auto", "cpu" or "cuda".
        adversarial_after: step from which the discriminators play; None for never.
        freeze_codes: train only the decoder, so that every code stays what it is.
    """

    network: MelImageConfig = field(default_factory=TokenizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    batch_size: int = 8
    crop_mel_frames: int = 128
    learning_rate: float = 6e-4
    weight_decay: float = 0.01
    discriminator_learning_rate: float = 2e-4
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(gain_db=(-12.0, 3.0)))
    mel_weight: float = 1.0
    loud_weight: float = 0.0
    commitment_weight: float = 0.25
    adversarial_weight: float = 0.05
    feature_matching_weight: float = 0.5
    texture_weight: float = 0.0
    flux_weight: float = 0.0
    num_scales: int = 3
    adversarial_after: int | None = None
    quantize_after: int = 200
    codebook_rule: str = "ema"
    codebook_learning_rate: float = 2e-3
    codebook_decay: float = 0.99
    start_vectors_per_entry: int = 16
    rotation: bool = False
    revive_every: int | None = 20
    smoothness_weight: float = 0.0
    prediction_weight: float = 0.0
    freeze_codes: bool = False
    validation_crops: int = 48
    precision: str = "float32"
    device: str = "cpu"

    def __post_init__(self) -> None:
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


class TokenizerTask:
    """Plays tokenizer training for the loop; see loop.TrainingTask."""

    def __init__(
        self, recipe: TokenizerTraining, train: WaveformStore, valid: WaveformStore
    ) -> None:
        self.recipe = recipe
        torch.manual_seed(recipe.loop.seed)
        self.device = training_device(recipe.device)
        self.network = tokenizer_network(recipe.network).to(self.device)
        self.adversary = Adversary(
            MultiScaleMelDiscriminator(recipe.num_scales).to(self.device),
            recipe.discriminator_learning_rate,
        )
        self.network.quantizer.rotation = recipe.rotation
        for codebook in self.network.quantizer.codebooks():
            codebook.decay = recipe.codebook_decay
        self.rule = rule_for(
            recipe.codebook_rule, self.network.quantizer, recipe.codebook_learning_rate
        )
        self.foresight = (
            Foresight(recipe.network.code_dim).to(self.device) if recipe.prediction_weight else None
        )
        if recipe.freeze_codes:
            self.network.encoder.requires_grad_(False)
        self.modules: dict[str, nn.Module] = {
            "network": self.network,
            "discriminator": self.adversary.discriminator,
            "codebook": self.rule.module,
        }
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizers: dict[str, Optimizer] = {
            "network": AdamW(
                trained, recipe.learning_rate, betas=(0.9, 0.98), weight_decay=recipe.weight_decay
            ),
            "discriminator": self.adversary.optimizer,
            **self.rule.optimizers,
        }
        if self.foresight is not None:
            self.modules["foresight"] = self.foresight
            self.optimizers["foresight"] = AdamW(self.foresight.parameters(), recipe.learning_rate)
        self.weights = {
            "mel_loss": recipe.mel_weight,
            "loud_mel_loss": recipe.loud_weight,
            "commitment_loss": recipe.commitment_weight,
            "smoothness_loss": recipe.smoothness_weight,
            "prediction_loss": recipe.prediction_weight,
            "adversarial_loss": recipe.adversarial_weight,
            "feature_matching_loss": recipe.feature_matching_weight,
            "texture_loss": recipe.texture_weight,
            "flux_loss": recipe.flux_weight,
        }
        self.log_mel = LogMel(recipe.network.mel).to(self.device)
        samples = recipe.crop_mel_frames * recipe.network.mel.hop_length
        seed = recipe.loop.seed
        self.crops = CropSampler(train, samples, recipe.batch_size, recipe.augmentation, seed)
        held_out = CropSampler(valid, samples, recipe.validation_crops, seed=12_345)
        with torch.no_grad():
            self.validation_mel = self.log_mel(torch.from_numpy(held_out.batch(0)).to(self.device))
        self.audible = torch.from_numpy(mel_bin_centres_hz(recipe.network.mel) < 15_000)
        self.audible = self.audible.to(self.device)

    def step(self, step: int) -> dict[str, float]:
        """Reconstruct, judge, sum up, update; then move the codebook."""
        recipe, network = self.recipe, self.network.train()
        if step == recipe.quantize_after and not recipe.freeze_codes:
            self._initialise_codebook(step)
        quantize = recipe.freeze_codes or step >= recipe.quantize_after
        mel = self._mel(step)
        output = self._forward(mel, quantize)
        losses = {"mel_loss": (output.mel - mel).abs().mean()}
        if recipe.loud_weight:
            losses["loud_mel_loss"] = loud_mel_loss(output.mel, mel)
        real, fake = self._normalised(mel), self._normalised(output.mel)
        if recipe.texture_weight:
            losses["texture_loss"] = texture_loss(fake, real)
        if recipe.flux_weight:
            losses["flux_loss"] = flux_loss(fake, real)
        if not recipe.freeze_codes:
            losses |= self._latent_losses(output, quantize)
        if recipe.adversarial_after is not None and step >= recipe.adversarial_after:
            with autocast(self.device, recipe.precision):
                losses |= self.adversary.play(real, fake)
        total = torch.stack([w * losses[n] for n, w in self.weights.items() if n in losses]).sum()
        numbers = {name: float(loss.detach()) for name, loss in losses.items()}
        numbers["gradient_norm"] = self._update(total)
        if quantize and not recipe.freeze_codes:
            numbers |= self._move_codebook(step, output)
        return numbers

    def validate(self, network: nn.Module) -> dict[str, float]:
        assert isinstance(network, MelTokenizer)
        rebuilt, codes = self._reconstruct(network)
        error = (rebuilt - self.validation_mel).abs()
        variation = total_variation_ratio(self.validation_mel, rebuilt, network.config.mel)
        return {
            "mel_loss": float(error.mean()),
            "mel_loss_below_15_khz": float(error[:, self.audible].mean()),
            "loud_mel_loss": float(loud_mel_loss(rebuilt, self.validation_mel)),
            "flicker": variation.flicker or 0.0,
            "grain": variation.grain or 0.0,
            **usage_numbers(network.quantizer.rows_by_codebook(codes)),
        }

    def pictures(self, network: nn.Module) -> dict[str, np.ndarray]:
        assert isinstance(network, MelTokenizer)
        rebuilt, codes = self._reconstruct(network)
        rows = [
            stack_images([mel_image(before), mel_image(after)])
            for before, after in zip(self.validation_mel[:4], rebuilt[:4], strict=True)
        ]
        return {
            "mel-before-after": stack_images(rows),
            "usage-per-band": usage_image(codes, network.config.codebook_size),
        }

    def export(self, network: nn.Module, folder: Path) -> None:
        save_network(network, folder, kind_of(network).name)

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

    def _latent_losses(self, output: TokenizerOutput, quantized: bool) -> dict[str, Tensor]:
        losses = {}
        if quantized:
            losses["commitment_loss"] = output.commitment_loss
        if self.recipe.smoothness_weight:
            losses["smoothness_loss"] = smoothness_loss(output.latents)
        if self.foresight is not None:
            losses["prediction_loss"] = self.foresight(output.latents)
        return losses

    def _update(self, total: Tensor) -> float:
        if self.foresight is not None:
            self.optimizers["foresight"].zero_grad(set_to_none=True)
        norm = update(total, self.network, self.optimizers["network"])
        if self.foresight is not None:
            self.optimizers["foresight"].step()
        return norm

    def _mel(self, step: int) -> Tensor:
        with torch.no_grad():
            mel: Tensor = self.log_mel(torch.from_numpy(self.crops.batch(step)).to(self.device))
        return mel

    def _normalised(self, mel: Tensor) -> Tensor:
        config = self.recipe.network
        return (mel - config.mel_mean) / config.mel_std

    def _initialise_codebook(self, step: int) -> None:
        """Run k-means over latents of fresh batches."""
        wanted = self.recipe.start_vectors_per_entry * self.recipe.network.codebook_size
        rows: list[Tensor] = []
        with torch.no_grad():
            while sum(map(len, rows)) < wanted:
                latents = self.network.encode_latents(self._mel(step + 1_000_000 + len(rows)))
                rows.append(latents.permute(0, 2, 3, 1).reshape(-1, latents.shape[1]))
        self.rule.start(torch.cat(rows), self._generator(step))

    def _move_codebook(self, step: int, output: TokenizerOutput) -> dict[str, float]:
        latents, every = output.latents.detach(), self.recipe.revive_every
        self.rule.move(latents, output.codes)
        rows = self.network.quantizer.rows_by_codebook(output.codes)
        numbers = {"batch_codes_used": fmean(float(len(part.unique())) for part in rows)}
        if every and step % every == 0 and step < 0.9 * self.recipe.loop.steps:
            numbers["revived"] = float(self.rule.revive(latents, self._generator(step)))
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
    found = [code_statistics(torch.bincount(codes.reshape(-1)).numpy()) for codes in rows]
    numbers = {
        "codes_used": fmean(float(one.used_codes) for one in found),
        "entropy_bits": fmean(one.entropy_bits for one in found),
    }
    if len(found) > 1:
        for index, one in enumerate(found):
            numbers[f"codes_used_{index:02}"] = float(one.used_codes)
            numbers[f"entropy_bits_{index:02}"] = one.entropy_bits
    return numbers
