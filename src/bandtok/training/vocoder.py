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

from bandtok.adversarial.discriminators import (
    MultiResolutionSpectrumDiscriminator,
    MultiScaleMelDiscriminator,
)
from bandtok.checkpoint import save_network
from bandtok.data.waveforms import Augmentation, CropSampler, WaveformStore
from bandtok.errors import ConfigError
from bandtok.evaluation.signal_measures import total_variation_ratio
from bandtok.layers.mel_tokenizer import MelTokenizer
from bandtok.mel import LogMel, mel_bin_centres_hz
from bandtok.networks import VOCODER_KIND
from bandtok.training.adversary import Adversary
from bandtok.training.device import autocast, training_device
from bandtok.training.distances import (
    MultiResolutionMelLoss,
    PitchLoss,
    flux_loss,
    loud_mel_loss,
    onset_loss,
    texture_loss,
)
from bandtok.training.images import mel_image, stack_images
from bandtok.training.loop import LoopConfig, update
from bandtok.training.perceptual import TaggerFeatureLoss
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
        texture_weight: of how much the mel changes from cell to cell (`texture_loss`).
        flux_weight: of when and how much it rises (`flux_loss`).
        pitch_weight: of log magnitudes on 36 bins per octave (`PitchLoss`).
        onset_weight: of when the mel rises in many bins at once (`onset_loss`).
        tagger_weight: of the hidden layers of a pretrained tagger (`TaggerFeatureLoss`).
        discriminators: what they see, "spectrum" (complex, of the waveform) or "mel" (its ln-mel).
        precision: "float32", or "bfloat16" for the blocks and the discriminators.
        device: "auto", "cpu" or "cuda".
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
    texture_weight: float = 0.0
    flux_weight: float = 0.0
    onset_weight: float = 0.0
    pitch_weight: float = 0.0
    tagger_weight: float = 0.0
    discriminators: str = "spectrum"
    adversarial_weight: float = 0.02
    feature_matching_weight: float = 0.2
    adversarial_after: int | None = None
    tokenizer: str = ""
    decoded_share: float = 1.0
    validation_crops: int = 32
    precision: str = "float32"
    device: str = "cpu"


def _discriminator(name: str) -> nn.Module:
    kinds: dict[str, type[nn.Module]] = {
        "spectrum": MultiResolutionSpectrumDiscriminator,
        "mel": MultiScaleMelDiscriminator,
    }
    if name not in kinds:
        raise ConfigError(f"got discriminators {name!r}; expected one of {', '.join(kinds)}")
    return kinds[name]()


class VocoderTask:
    """Plays vocoder training for the loop; see loop.TrainingTask."""

    def __init__(
        self,
        recipe: VocoderTraining,
        train: WaveformStore,
        valid: WaveformStore,
        tokenizer: MelTokenizer | None = None,
    ) -> None:
        self.recipe = recipe
        self.device = training_device(recipe.device)
        self.tokenizer = tokenizer.to(self.device) if tokenizer is not None else None
        torch.manual_seed(recipe.loop.seed)
        vocoder = Vocoder(recipe.network).to(self.device)
        vocoder.bfloat16_blocks = recipe.precision == "bfloat16"
        self.network = self.player(vocoder)
        discriminator = _discriminator(recipe.discriminators).to(self.device)
        self.adversary = Adversary(discriminator, recipe.discriminator_learning_rate)
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
        self.log_mel = LogMel(mel).to(self.device)
        self.resolutions = MultiResolutionMelLoss(mel.sample_rate).to(self.device)
        self.pitch = PitchLoss(mel.sample_rate).to(self.device)
        if recipe.tagger_weight:
            self.tagger = TaggerFeatureLoss(mel.sample_rate).to(self.device)
        samples = recipe.crop_mel_frames * mel.hop_length
        seed = recipe.loop.seed
        self.crops = CropSampler(train, samples, recipe.batch_size, recipe.augmentation, seed)
        held_out = CropSampler(valid, samples, recipe.validation_crops, seed=12_345)
        self.validation = torch.from_numpy(held_out.batch(0)).to(self.device)
        self.audible = torch.from_numpy(mel_bin_centres_hz(mel) < 15_000).to(self.device)

    def player(self, vocoder: Vocoder) -> nn.Module:
        """Return what is trained."""
        return vocoder

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the trained parameters with their learning rates."""
        rate = self.recipe.learning_rate
        return [{"params": list(self.network.parameters()), "lr": rate, "initial_lr": rate}]

    def step(self, step: int) -> dict[str, float]:
        """Make a waveform of the mel, judge, sum up, update."""
        network = self.network.train()
        waveform = torch.from_numpy(self.crops.batch(step)).to(self.device)
        with torch.no_grad():
            mel = self.log_mel(waveform)
            heard = self._heard(mel)
        total, losses = self.judge(network(heard), waveform, mel, step)
        norm = update(total, network, self.optimizers["network"])
        numbers = {name: float(loss.detach()) for name, loss in losses.items()}
        return {**numbers, "gradient_norm": norm}

    def judge(
        self,
        made: Tensor,
        waveform: Tensor,
        mel: Tensor,
        step: int,
        decoded: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of losses of a waveform made, and each loss by name."""
        recipe, hop = self.recipe, self.log_mel.config.hop_length
        # Off the networks' own framing, so that no loss is met at its frames alone.
        shift = int(np.random.default_rng((recipe.loop.seed, step)).integers(hop))
        made, waveform = (w[..., shift : w.shape[-1] - hop + shift] for w in (made, waveform))
        heard, wanted = self.log_mel(made), self.log_mel(waveform)
        losses = {
            "mel_loss": (heard - wanted).abs().mean(),
            "resolution_loss": self.resolutions(made, waveform),
            "loud_mel_loss": loud_mel_loss(heard, wanted),
        }
        total = (
            recipe.mel_weight * losses["mel_loss"]
            + recipe.resolution_weight * losses["resolution_loss"]
            + recipe.loud_weight * losses["loud_mel_loss"]
        )
        real, fake = self._normalized(wanted), self._normalized(heard)
        for name, weight, function in (
            ("texture_loss", recipe.texture_weight, lambda: texture_loss(fake, real)),
            ("flux_loss", recipe.flux_weight, lambda: flux_loss(fake, real)),
            ("onset_loss", recipe.onset_weight, lambda: onset_loss(fake, real)),
            ("tagger_loss", recipe.tagger_weight, lambda: self._tagger_loss(made, waveform)),
            ("pitch_loss", recipe.pitch_weight, lambda: self.pitch(made, waveform)),
        ):
            if weight:
                losses[name] = function()
                total = total + weight * losses[name]
        if recipe.adversarial_after is not None and step >= recipe.adversarial_after:
            pair = (waveform, made) if recipe.discriminators == "spectrum" else (real, fake)
            if decoded is not None and recipe.discriminators == "mel":
                real = torch.cat((real, self._normalized(mel)[..., :-1]))
                pair = (real, torch.cat((fake, self._normalized(decoded)[..., :-1])))
            with autocast(self.device, recipe.precision):
                losses |= self.adversary.play(*pair)
            total = (
                total
                + recipe.adversarial_weight * losses["adversarial_loss"]
                + recipe.feature_matching_weight * losses["feature_matching_loss"]
            )
        return total, losses

    def _normalized(self, mel: Tensor) -> Tensor:
        config = self.recipe.network
        return (mel - config.mel_mean) / config.mel_std

    def _tagger_loss(self, made: Tensor, waveform: Tensor) -> Tensor:
        with autocast(self.device, self.recipe.precision):
            loss: Tensor = self.tagger(made, waveform)
        return loss

    def validate(self, network: nn.Module) -> dict[str, float]:
        mel, rebuilt = self._reconstruct(network)
        error = (rebuilt - mel).abs()
        ratio = total_variation_ratio(mel, rebuilt, self.recipe.network.mel)
        return {
            "mel_loss": float(error.mean()),
            "mel_loss_below_15_khz": float(error[:, self.audible].mean()),
            "flicker": ratio.flicker or 0.0,
            "grain": ratio.grain or 0.0,
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
