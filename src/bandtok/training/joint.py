"""Joint training of the tokenizer's decoder and the vocoder: codes in, waveform out, codes frozen.

Trained apart, the decoder minimizes the error of a mel that may belong to no waveform, and the
vocoder is given mels that it was not trained on. Here both minimize the error of the waveform at
the end of the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bandtok.data.waveforms import WaveformStore
from bandtok.model_specs import TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.torch_checkpoint import grow_decoder, save_network, spec_for
from bandtok.training.mel_losses import mel_loss
from bandtok.training.mel_task import comparison_image, reconstruction_numbers
from bandtok.training.precision import autocast
from bandtok.training.vocoder import VocoderTask, VocoderTraining, parameter_group
from bandtok.vocoder.model import Vocoder


@dataclass(frozen=True, kw_only=True)
class JointTraining(VocoderTraining):
    """A complete joint run; `tokenizer` names the model whose decoder is trained on.

    Attributes:
        decoder_learning_rate: for the tokenizer's decoder; `learning_rate` is the vocoder's.
        decoded_mel_weight: of the decoded mel's own distance, which keeps it a mel.
        decoder_fine_blocks: residual blocks at half the mel's resolution that the decoder is to
            have; they start without effect. None leaves the decoder as it was loaded.
        decoder_noise_channels: channels of its noise input, likewise.
    """

    decoder_learning_rate: float = 2e-4
    decoded_mel_weight: float = 0.25
    decoder_fine_blocks: int | None = None
    decoder_noise_channels: int | None = None


class JointChain(nn.Module):
    """A tokenizer and a vocoder; only what follows the codes is trained."""

    def __init__(self, tokenizer: MelTokenizer, vocoder: Vocoder) -> None:
        super().__init__()
        self.tokenizer, self.vocoder = tokenizer, vocoder
        self.tokenizer.requires_grad_(False)
        self.tokenizer.decoder.requires_grad_(True)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Return the decoded ln-mel and the waveform [batch, 1, samples] of an original ln-mel."""
        decoded = self.decode(mel)
        return decoded, self.vocoder(decoded)

    def decode(self, mel: Tensor) -> Tensor:
        """Return the decoded ln-mel; codes are found in full precision, as they are in use."""
        with torch.autocast(mel.device.type, enabled=False):
            quantized = self.tokenizer.quantizer.decode(self.tokenizer.encode_mel(mel))
        return self.tokenizer.decode_latents(quantized)


class JointTask(VocoderTask):
    """Joint training for the loop; see loop.TrainingTask."""

    recipe: JointTraining
    network: JointChain

    def __init__(
        self,
        recipe: JointTraining,
        train: WaveformStore,
        valid: WaveformStore,
        tokenizer: MelTokenizer,
    ) -> None:
        super().__init__(recipe, train, valid, tokenizer)

    def build_network(self, vocoder: Vocoder) -> nn.Module:
        assert self.tokenizer is not None
        recipe = self.recipe
        grown = grow_decoder(
            self.tokenizer,
            fine_blocks=recipe.decoder_fine_blocks,
            noise_channels=recipe.decoder_noise_channels,
        )
        return JointChain(grown.to(self.device), vocoder)

    def parameter_groups(self) -> list[dict[str, Any]]:
        chain, recipe = self.network, self.recipe
        return [
            parameter_group(chain.vocoder, recipe.learning_rate),
            parameter_group(chain.tokenizer.decoder, recipe.decoder_learning_rate),
        ]

    def step(self, step: int) -> dict[str, float]:
        """Encode, decode, make a waveform, compute the losses of it and of the mel, update."""
        chain = self.network.train()
        waveform = self.waveforms(step)
        with torch.no_grad():
            mel = self.log_mel(waveform)
        with autocast(self.device, self.recipe.precision):
            decoded = chain.decode(mel)
        pair = self.shifted_pair(chain.vocoder(decoded), waveform, step)
        compared = self.discriminator_pairs(pair)
        if "mel" in compared:
            compared["mel"] = self._with_decoded(compared["mel"], decoded, mel)
        weight = self.recipe.decoded_mel_weight
        return self.update_network(
            {
                **self.waveform_losses(pair),
                "decoded_mel_loss": (weight, lambda: mel_loss(decoded, mel)),
                **self.adversarial_losses(step, compared),
            }
        )

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Measure the mel of the waveform, and the decoded mel before it ("decoded_...")."""
        mel = self.log_mel(self.validation)
        decoded, waveform = network(mel)
        config = self.recipe.network.mel
        before = reconstruction_numbers(mel, decoded, config)
        return {
            **reconstruction_numbers(mel, self.log_mel(waveform), config),
            **{f"decoded_{name}": value for name, value in before.items()},
        }

    def log_images(self, network: nn.Module) -> dict[str, np.ndarray]:
        mel = self.log_mel(self.validation)
        return {"mel-original-reconstruction": comparison_image(mel, self.log_mel(network(mel)[1]))}

    def export(self, network: nn.Module, folder: Path) -> None:
        """Write folder/tokenizer and folder/vocoder: two models that belong together."""
        assert isinstance(network, JointChain)
        for kind, part in ((TOKENIZER_SPEC, network.tokenizer), (VOCODER_SPEC, network.vocoder)):
            save_network(part, folder / kind.name, spec_for(part).name)

    def _with_decoded(
        self, pair: tuple[Tensor, Tensor], decoded: Tensor, mel: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Put the decoded mel and its original behind the pair, cut to the pair's length."""
        frames = pair[0].shape[-1]
        both = zip(pair, (decoded, mel), strict=True)
        estimate, reference = (
            torch.cat((image, self.normalized(more)[..., :frames])) for image, more in both
        )
        return estimate, reference
