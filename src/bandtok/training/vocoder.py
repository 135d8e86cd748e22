"""The vocoder's game: match spectra at several resolutions; late, against spectrum discriminators.

The input is the mel of real music, or (with `tokenizer` named in the recipe) what a tokenizer makes
of it, which is what the vocoder will hear in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from bandtok.adversarial.discriminators import MultiResolutionSpectrumDiscriminator
from bandtok.checkpoint import save_network
from bandtok.data.waveforms import Augmentation, CropSampler, WaveformStore
from bandtok.layers.mel_tokenizer import MelTokenizer
from bandtok.mel import LogMel, mel_bin_centres_hz
from bandtok.networks import VOCODER_KIND
from bandtok.training.adversary import Adversary
from bandtok.training.distances import MultiResolutionMelLoss, loud_mel_loss
from bandtok.training.images import mel_image, stack_images
from bandtok.training.loop import LoopConfig, update
from bandtok.vocoder.config import VocoderConfig
from bandtok.vocoder.model import Vocoder


@dataclass(frozen=True, kw_only=True)
class VocoderTraining:
    """A complete vocoder run.

    Attributes:
        crop_mel_frames: length of a training crop in mel frames.
        tokenizer: name or folder of a tokenizer whose reconstructed mels are the input; "bundled"
            for the one in the box, "" for real mels only.
        decoded_share: share of each batch that goes through that tokenizer.
        loud_weight: of the distance in the loudest cells of each frame (`loud_mel_loss`).
        adversarial_after: step from which the discriminators play; None for never.
    """

    network: VocoderConfig = field(default_factory=VocoderConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    batch_size: int = 8
    crop_mel_frames: int = 64
    learning_rate: float = 8e-4
    weight_decay: float = 0.01
    discriminator_learning_rate: float = 2e-4
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(gain_db=(-12.0, 3.0)))
    mel_weight: float = 1.0
    resolution_weight: float = 0.5
    loud_weight: float = 0.0
    adversarial_weight: float = 0.02
    feature_matching_weight: float = 0.2
    adversarial_after: int | None = None
    tokenizer: str = ""
    decoded_share: float = 1.0
    validation_crops: int = 32


class VocoderTask:
    """Plays vocoder training for the loop; see loop.TrainingTask."""

    def __init__(
        self,
        recipe: VocoderTraining,
        train: WaveformStore,
        valid: WaveformStore,
        tokenizer: MelTokenizer | None = None,
    ) -> None:
        self.recipe, self.tokenizer = recipe, tokenizer
        torch.manual_seed(recipe.loop.seed)
        self.network = self.player(Vocoder(recipe.network))
        self.adversary = Adversary(
            MultiResolutionSpectrumDiscriminator(), recipe.discriminator_learning_rate
        )
        self.modules: Mapping[str, nn.Module] = {
            "network": self.network,
            "discriminator": self.adversary.discriminator,
        }
        self.optimizers: Mapping[str, Optimizer] = {
            "network": AdamW(
                self.parameter_groups(), betas=(0.9, 0.98), weight_decay=recipe.weight_decay
            ),
            "discriminator": self.adversary.optimizer,
        }
        mel = recipe.network.mel
        self.log_mel = LogMel(mel)
        self.resolutions = MultiResolutionMelLoss(mel.sample_rate)
        samples = recipe.crop_mel_frames * mel.hop_length
        seed = recipe.loop.seed
        self.crops = CropSampler(train, samples, recipe.batch_size, recipe.augmentation, seed)
        held_out = CropSampler(valid, samples, recipe.validation_crops, seed=12_345)
        self.validation = torch.from_numpy(held_out.batch(0))
        self.audible = torch.from_numpy(mel_bin_centres_hz(mel) < 15_000)

    def player(self, vocoder: Vocoder) -> nn.Module:
        """Return what is trained."""
        return vocoder

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the trained parameters with their learning rates."""
        return [{"params": list(self.network.parameters()), "lr": self.recipe.learning_rate}]

    def step(self, step: int) -> dict[str, float]:
        """Make a waveform of the mel, judge, sum up, update."""
        network = self.network.train()
        waveform = torch.from_numpy(self.crops.batch(step))
        with torch.no_grad():
            mel = self.log_mel(waveform)
            heard = self._heard(mel)
        total, losses = self.judge(network(heard), waveform, mel, step)
        norm = update(total, network, self.optimizers["network"])
        numbers = {name: float(loss.detach()) for name, loss in losses.items()}
        return {**numbers, "gradient_norm": norm}

    def judge(
        self, made: Tensor, waveform: Tensor, mel: Tensor, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of losses of a waveform made, and each loss by name."""
        recipe = self.recipe
        heard = self.log_mel(made)
        losses = {
            "mel_loss": (heard - mel).abs().mean(),
            "resolution_loss": self.resolutions(made, waveform),
            "loud_mel_loss": loud_mel_loss(heard, mel),
        }
        total = (
            recipe.mel_weight * losses["mel_loss"]
            + recipe.resolution_weight * losses["resolution_loss"]
            + recipe.loud_weight * losses["loud_mel_loss"]
        )
        if recipe.adversarial_after is not None and step >= recipe.adversarial_after:
            losses |= self.adversary.play(waveform, made)
            total = (
                total
                + recipe.adversarial_weight * losses["adversarial_loss"]
                + recipe.feature_matching_weight * losses["feature_matching_loss"]
            )
        return total, losses

    def validate(self, network: nn.Module) -> dict[str, float]:
        mel, rebuilt = self._reconstruct(network)
        error = (rebuilt - mel).abs()
        return {
            "mel_loss": float(error.mean()),
            "mel_loss_below_15_khz": float(error[:, self.audible].mean()),
        }

    def pictures(self, network: nn.Module) -> dict[str, np.ndarray]:
        mel, rebuilt = self._reconstruct(network)
        rows = [
            stack_images([mel_image(before), mel_image(after)])
            for before, after in zip(mel[:4], rebuilt[:4], strict=True)
        ]
        return {"mel-before-after": stack_images(rows)}

    def export(self, network: nn.Module, folder: Path) -> None:
        save_network(network, folder, VOCODER_KIND.name)

    def _heard(self, mel: Tensor) -> Tensor:
        """Send the first `decoded_share` of the batch through the tokenizer."""
        if self.tokenizer is None:
            return mel
        count = round(len(mel) * self.recipe.decoded_share)
        decoded = self.tokenizer.decode_codes(self.tokenizer.encode_mel(mel[:count]))
        return torch.cat([decoded, mel[count:]])

    def _reconstruct(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        mel = self.log_mel(self.validation)
        return mel, self.log_mel(network(self._heard(mel)))
