"""What training of the tokenizer and of the vocoder share: crops of music, discriminators, numbers.

    WaveformStore -> crops on the training device;  original and rebuilt ln-mel -> validation

Both rebuild a mel image (one from codes, one through a waveform), so both have the same batches,
the same mel losses and the same validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from bandtok.data.waveforms import Augmentation, CropSampler, WaveformStore
from bandtok.device import choose_device
from bandtok.errors import ConfigError
from bandtok.evaluation.signal_measures import total_variation_ratio
from bandtok.signal.mel import MelConfig, mel_bin_centers_hz
from bandtok.signal.torch_mel import TorchLogMel
from bandtok.tokenizer.config import TokenizerConfig
from bandtok.tokenizer.mel_image import MelImageConfig
from bandtok.training.discriminator_trainer import DiscriminatorTrainer
from bandtok.training.discriminators import (
    MultiResolutionSpectrumDiscriminator,
    MultiScaleMelDiscriminator,
)
from bandtok.training.images import mel_image, stack_images
from bandtok.training.loop import LoopConfig
from bandtok.training.loss_table import LossTable
from bandtok.training.mel_losses import normalize_mel
from bandtok.training.precision import autocast, check_precision
from bandtok.training.prefetch import Prefetch
from bandtok.vocoder.config import VocoderConfig

_VALIDATION_SEED = 12_345
_IMAGES = 4
_BELOW_HZ = 15_000


@dataclass(frozen=True, kw_only=True)
class MelTraining:
    """Settings that tokenizer and vocoder runs have in common.

    Attributes:
        network: shape of the network.
        batch_size: crops per step.
        crop_mel_frames: length of a training crop in mel frames.
        learning_rate, weight_decay: of AdamW.
        discriminator_learning_rate: of the discriminators' AdamW.
        mel_weight: of the mean ln-mel difference (`mel_loss`).
        loud_weight: of the distance in the loudest cells of each frame (`loud_mel_loss`).
        texture_weight: of how much the mel varies from cell to cell (`texture_loss`).
        flux_weight: of when and how much it rises (`flux_loss`).
        adversarial_weight: of the discriminators' scores.
        feature_matching_weight: of the distance in the discriminators' hidden layers.
        discriminator_start_step: step from which the discriminators are trained; None for never.
        validation_crops: number of fixed held-out crops.
        precision: "float32", or "bfloat16" for convolutions and matrix products of what is trained.
        device: "auto" takes an accelerator if there is one.
        init: model whose weights the run begins with: "bundled", a name or folder; "" for random
            weights.
    """

    network: MelImageConfig | VocoderConfig = field(default_factory=TokenizerConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    batch_size: int = 8
    crop_mel_frames: int = 128
    learning_rate: float = 6e-4
    weight_decay: float = 0.01
    discriminator_learning_rate: float = 2e-4
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(gain_db=(-12.0, 3.0)))
    mel_weight: float = 1.0
    loud_weight: float = 0.0
    texture_weight: float = 0.0
    flux_weight: float = 0.0
    adversarial_weight: float = 0.05
    feature_matching_weight: float = 0.5
    discriminator_start_step: int | None = None
    validation_crops: int = 48
    precision: str = "float32"
    device: str = "auto"
    init: str = ""

    def __post_init__(self) -> None:
        check_precision(self.precision)


class MelTask:
    """Batches, validation and the discriminators' losses; subclasses add networks and a step.

    Seeds torch last, so that a subclass builds its networks from the recipe's seed.

    Args:
        recipe: settings.
        train: tracks for training crops.
        valid: tracks for validation crops.
    """

    def __init__(self, recipe: MelTraining, train: WaveformStore, valid: WaveformStore) -> None:
        self.recipe = recipe
        self.device = torch.device(choose_device(recipe.device))
        mel = recipe.network.mel
        self.log_mel = TorchLogMel(mel).to(self.device)
        samples, seed = recipe.crop_mel_frames * mel.hop_length, recipe.loop.seed
        self.crops = CropSampler(train, samples, recipe.batch_size, recipe.augmentation, seed)
        self._batches = (
            self.crops.batch if self.device.type == "cpu" else Prefetch(self.crops.batch)
        )
        held_out = CropSampler(valid, samples, recipe.validation_crops, seed=_VALIDATION_SEED)
        self.validation = torch.from_numpy(held_out.batch(0)).to(self.device)
        self.discriminator_trainers: dict[str, DiscriminatorTrainer] = {}
        torch.manual_seed(seed)

    def add_discriminators(self, *kinds: str, num_scales: int = 3) -> None:
        """Build discriminators of "mel" images and of the complex "spectrum" of waveforms.

        Args:
            kinds: "mel", "spectrum" or both.
            num_scales: of the mel discriminator.
        """
        for kind in kinds:
            discriminator: nn.Module = (
                MultiScaleMelDiscriminator(num_scales)
                if kind == "mel"
                else MultiResolutionSpectrumDiscriminator()
            )
            self.discriminator_trainers[kind] = DiscriminatorTrainer(
                discriminator.to(self.device), self.recipe.discriminator_learning_rate
            )

    def named_trainers(self) -> dict[str, DiscriminatorTrainer]:
        """Return the discriminators by name in the training state; the first has no prefix."""
        return {
            f"{kind}_discriminator" if index else "discriminator": discriminator_trainer
            for index, (kind, discriminator_trainer) in enumerate(
                self.discriminator_trainers.items()
            )
        }

    def waveforms(self, step: int) -> Tensor:
        """Return the crops of a step, [batch, 1, samples]."""
        return torch.from_numpy(self._batches(step)).to(self.device)

    def normalized(self, mel: Tensor) -> Tensor:
        return normalize_mel(mel, self.recipe.network)

    def adversarial_losses(
        self, step: int, pairs: Mapping[str, tuple[Tensor, Tensor]]
    ) -> LossTable:
        """Update the discriminators; return their losses for what is trained.

        Args:
            step: decides whether they take part yet.
            pairs: estimate and reference that each kind of discriminator compares.
        """
        recipe = self.recipe
        if recipe.discriminator_start_step is None or step < recipe.discriminator_start_step:
            return {}
        with autocast(self.device, recipe.precision):
            found = [
                self.discriminator_trainers[kind].step(reference, estimate)
                for kind, (estimate, reference) in pairs.items()
            ]
        weights = {
            "discriminator_loss": 0.0,
            "adversarial_loss": recipe.adversarial_weight,
            "feature_matching_loss": recipe.feature_matching_weight,
        }
        means = {name: torch.stack([one[name] for one in found]).mean() for name in weights}
        return {name: (weights[name], partial(means.__getitem__, name)) for name in weights}


def named_discriminators(kinds: str) -> tuple[str, ...]:
    """Return the kinds of discriminator in a setting such as "mel", "spectrum" or "mel+spectrum".

    Raises:
        ConfigError: for an unknown or repeated kind.
    """
    found = tuple(kinds.split("+"))
    if not set(found) <= {"mel", "spectrum"} or len(set(found)) != len(found):
        raise ConfigError(f"got discriminators {kinds!r}; expected mel, spectrum or mel+spectrum")
    return found


def reconstruction_numbers(
    reference: Tensor, rebuilt: Tensor, config: MelConfig
) -> dict[str, float]:
    """Return distance and total variation of a rebuilt ln-mel [batch, n_mels, mel_frames].

    "flicker" and "grain" are missing where the reference does not vary (silence).
    """
    reference, rebuilt = reference.cpu(), rebuilt.cpu()
    error = (rebuilt - reference).abs()
    below = torch.from_numpy(mel_bin_centers_hz(config) < _BELOW_HZ)
    ratio = total_variation_ratio(reference.numpy(), rebuilt.numpy(), config)
    numbers = {
        "mel_loss": float(error.mean()),
        "mel_loss_below_15_khz": float(error[:, below].mean()),
        "flicker": ratio.flicker,
        "grain": ratio.grain,
    }
    return {name: value for name, value in numbers.items() if value is not None}


def comparison_image(reference: Tensor, rebuilt: Tensor) -> np.ndarray:
    """Return the first ln-mels of a batch above their reconstructions, uint8 [height, width, 3]."""
    images = {}
    for number, mel in enumerate(reference[:_IMAGES].cpu(), 1):
        images[f"original {number}"] = mel_image(mel)
        images[f"reconstruction {number}"] = mel_image(rebuilt[number - 1].cpu())
    return stack_images(images)
