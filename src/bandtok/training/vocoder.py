"""Vocoder training: match spectra at several resolutions; later on, against discriminators.

The input is the mel of real music, or (with `tokenizer` named in the recipe) what a tokenizer makes
of it, which is the vocoder's input in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from bandtok.data.waveforms import WaveformStore
from bandtok.errors import ConfigError
from bandtok.model_specs import VOCODER_SPEC
from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.torch_checkpoint import save_network
from bandtok.training.loop import update
from bandtok.training.loss_table import LossTable, weighted_sum
from bandtok.training.mel_losses import (
    flux_loss,
    loud_mel_loss,
    mel_loss,
    onset_loss,
    texture_loss,
)
from bandtok.training.mel_task import (
    MelTask,
    MelTraining,
    comparison_image,
    named_discriminators,
    reconstruction_numbers,
)
from bandtok.training.perceptual import TaggerFeatureLoss
from bandtok.training.precision import autocast
from bandtok.training.waveform_losses import MultiResolutionMelLoss, PitchLoss
from bandtok.vocoder.config import VocoderConfig
from bandtok.vocoder.model import Vocoder

_MIN_DISCRIMINATOR_FRAMES = 33
"""The coarsest scale needs 32 frames, and the random shift takes one away."""


@dataclass(frozen=True, kw_only=True)
class VocoderTraining(MelTraining):
    """A complete vocoder run.

    Attributes:
        resolution_weight: of log-mels at several resolutions (`MultiResolutionMelLoss`).
        onset_weight: of when the mel rises in many bins at once (`onset_loss`).
        pitch_weight: of log magnitudes on 36 bins per octave (`PitchLoss`).
        tagger_weight: of the hidden layers of a pretrained tagger (`TaggerFeatureLoss`).
        discriminators: "spectrum" (complex, of the waveform), "mel" (its ln-mel) or
            "mel+spectrum".
        tokenizer: model whose decoded mels replace real ones: a run folder, "bundled" for the
            bundled one, "" for real mels only.
        decoded_mel_prob: share of each batch that is replaced.
    """

    network: VocoderConfig = field(default_factory=VocoderConfig)
    crop_mel_frames: int = 64
    learning_rate: float = 8e-4
    resolution_weight: float = 0.5
    onset_weight: float = 0.0
    pitch_weight: float = 0.0
    tagger_weight: float = 0.0
    discriminators: str = "spectrum"
    adversarial_weight: float = 0.02
    feature_matching_weight: float = 0.2
    tokenizer: str = ""
    decoded_mel_prob: float = 1.0
    validation_crops: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        named_discriminators(self.discriminators)


@dataclass(frozen=True, kw_only=True)
class SoundPair:
    """An estimated and a reference sound, in this order, in each of the forms that losses need.

    Attributes:
        waveforms: [batch, 1, samples].
        mels: ln-mels of them, [batch, n_mels, mel_frames].
        normalized: the same, normalized.
    """

    waveforms: tuple[Tensor, Tensor]
    mels: tuple[Tensor, Tensor]
    normalized: tuple[Tensor, Tensor]


class VocoderTask(MelTask):
    """Vocoder training for the loop; see loop.TrainingTask."""

    recipe: VocoderTraining

    def __init__(
        self,
        recipe: VocoderTraining,
        train: WaveformStore,
        valid: WaveformStore,
        tokenizer: MelTokenizer | None = None,
    ) -> None:
        super().__init__(recipe, train, valid)
        self.tokenizer = tokenizer.to(self.device) if tokenizer is not None else None
        vocoder = Vocoder(recipe.network).to(self.device)
        vocoder.bfloat16_blocks = recipe.precision == "bfloat16"
        self.network = self.build_network(vocoder)
        kinds = named_discriminators(recipe.discriminators)
        if "mel" in kinds and recipe.discriminator_start_step is not None:
            check_mel_frames(recipe.crop_mel_frames)
        self.add_discriminators(*kinds)
        discriminator_trainers = self.named_trainers()
        self.modules: Mapping[str, nn.Module] = {
            "network": self.network,
            **{
                name: discriminator_trainer.discriminator
                for name, discriminator_trainer in discriminator_trainers.items()
            },
        }
        self.optimizers: Mapping[str, Optimizer] = {
            "network": AdamW(
                self.parameter_groups(), betas=(0.9, 0.98), weight_decay=recipe.weight_decay
            ),
            **{
                name: discriminator_trainer.optimizer
                for name, discriminator_trainer in discriminator_trainers.items()
            },
        }
        self.resolutions = MultiResolutionMelLoss(self.log_mel.config.sample_rate).to(self.device)

    @cached_property
    def pitch(self) -> PitchLoss:
        return PitchLoss(self.log_mel.config.sample_rate).to(self.device)

    @cached_property
    def tagger(self) -> TaggerFeatureLoss:
        return TaggerFeatureLoss(self.log_mel.config.sample_rate).to(self.device)

    def build_network(self, vocoder: Vocoder) -> nn.Module:
        """Return what is trained."""
        return vocoder

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the trained parameters with their learning rates."""
        return [parameter_group(self.network, self.recipe.learning_rate)]

    def step(self, step: int) -> dict[str, float]:
        """Make a waveform of the mel, compute the losses, update."""
        network = self.network.train()
        waveform = self.waveforms(step)
        with torch.no_grad():
            inputs = self._vocoder_input(self.log_mel(waveform))
        pair = self.shifted_pair(network(inputs), waveform, step)
        table = self.waveform_losses(pair)
        return self.update_network(
            {**table, **self.adversarial_losses(step, self.discriminator_pairs(pair))}
        )

    def shifted_pair(self, estimate: Tensor, reference: Tensor, step: int) -> SoundPair:
        """Cut both waveforms at a random offset of less than a hop, the same for both.

        The vocoder's frames, the corrections inside it and the losses share one framing. At a fixed
        offset the network learns to match the reference at exactly those frames and not between
        them, which no loss would notice.
        """
        hop = self.log_mel.config.hop_length
        shift = int(np.random.default_rng((self.recipe.loop.seed, step)).integers(hop))
        end = reference.shape[-1] - hop + shift
        waveforms = (estimate[..., shift:end], reference[..., shift:end])
        mels = (self.log_mel(waveforms[0]), self.log_mel(waveforms[1]))
        normalized = (self.normalized(mels[0]), self.normalized(mels[1]))
        return SoundPair(waveforms=waveforms, mels=mels, normalized=normalized)

    def waveform_losses(self, pair: SoundPair) -> LossTable:
        """Return the losses of a waveform, discriminators apart."""
        recipe = self.recipe
        return {
            "mel_loss": (recipe.mel_weight, lambda: mel_loss(*pair.mels)),
            "resolution_loss": (
                recipe.resolution_weight,
                lambda: self.resolutions(*pair.waveforms),
            ),
            "loud_mel_loss": (recipe.loud_weight, lambda: loud_mel_loss(*pair.mels)),
            "texture_loss": (recipe.texture_weight, lambda: texture_loss(*pair.normalized)),
            "flux_loss": (recipe.flux_weight, lambda: flux_loss(*pair.normalized)),
            "onset_loss": (recipe.onset_weight, lambda: onset_loss(*pair.normalized)),
            "pitch_loss": (recipe.pitch_weight, lambda: self.pitch(*pair.waveforms)),
            "tagger_loss": (recipe.tagger_weight, lambda: self._tagger_loss(pair)),
        }

    def discriminator_pairs(self, pair: SoundPair) -> dict[str, tuple[Tensor, Tensor]]:
        """Return what each kind of discriminator compares."""
        inputs = {"mel": pair.normalized, "spectrum": pair.waveforms}
        return {kind: inputs[kind] for kind in self.discriminator_trainers}

    def update_network(self, table: LossTable) -> dict[str, float]:
        """Compute the losses, take one step, and return what is to be logged."""
        losses = weighted_sum(table)
        norm = update(losses.total, self.network, self.optimizers["network"])
        return {**losses.numbers(), "gradient_norm": norm}

    def validate(self, network: nn.Module) -> dict[str, float]:
        return reconstruction_numbers(*self._reconstruct(network), self.recipe.network.mel)

    def log_images(self, network: nn.Module) -> dict[str, np.ndarray]:
        return {"mel-original-reconstruction": comparison_image(*self._reconstruct(network))}

    def export(self, network: nn.Module, folder: Path) -> None:
        save_network(network, folder, VOCODER_SPEC.name)

    def _tagger_loss(self, pair: SoundPair) -> Tensor:
        with autocast(self.device, self.recipe.precision):
            loss: Tensor = self.tagger(*pair.waveforms)
        return loss

    def _vocoder_input(self, mel: Tensor) -> Tensor:
        """Send the first `decoded_mel_prob` of the batch through the tokenizer."""
        if self.tokenizer is None:
            return mel
        count = round(len(mel) * self.recipe.decoded_mel_prob)
        decoded = self.tokenizer.decode_codes(self.tokenizer.encode_mel(mel[:count]))
        return torch.cat([decoded, mel[count:]])

    def _reconstruct(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        """Return original and rebuilt ln-mel of the validation crops."""
        mel = self.log_mel(self.validation)
        return mel, self.log_mel(network(self._vocoder_input(mel)))


def check_mel_frames(crop_mel_frames: int) -> None:
    """Raise ConfigError if crops are too short for the coarsest mel discriminator."""
    if crop_mel_frames < _MIN_DISCRIMINATOR_FRAMES:
        raise ConfigError(
            f"got crop_mel_frames {crop_mel_frames}; expected {_MIN_DISCRIMINATOR_FRAMES} or more "
            "for mel discriminators"
        )


def parameter_group(module: nn.Module, learning_rate: float) -> dict[str, Any]:
    """Return the parameters of a module as an optimizer's group with a learning rate of its own."""
    return {
        "params": list(module.parameters()),
        "lr": learning_rate,
        "initial_lr": learning_rate,
    }
