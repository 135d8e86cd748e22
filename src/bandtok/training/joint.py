"""The tokenizer's decoder and the vocoder as one player: codes in, waveform out, codes frozen.

Each alone minds its own half: the decoder a mel that may be no waveform's, the vocoder a mel that
it is given. Together they are trained on what is heard at the end of the chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bandtok.checkpoint import save_network
from bandtok.data.waveforms import WaveformStore
from bandtok.evaluation.signal_measures import total_variation_ratio
from bandtok.layers.mel_tokenizer import MelTokenizer
from bandtok.networks import TOKENIZER_KIND, VOCODER_KIND, kind_of
from bandtok.training.device import autocast
from bandtok.training.loop import update
from bandtok.training.vocoder import VocoderTask, VocoderTraining
from bandtok.vocoder.model import Vocoder


@dataclass(frozen=True, kw_only=True)
class JointTraining(VocoderTraining):
    """A complete joint run; `tokenizer` names where its decoder starts.

    Attributes:
        decoder_learning_rate: for the tokenizer's decoder.
        decoded_mel_weight: of the decoded mel's own distance, which keeps it a mel.
    """

    decoder_learning_rate: float = 2e-4
    decoded_mel_weight: float = 0.25


class JointChain(nn.Module):
    """A tokenizer and a vocoder; only what stands after the codes is trained."""

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
    """Plays joint training for the loop; see loop.TrainingTask."""

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

    def player(self, vocoder: Vocoder) -> nn.Module:
        assert self.tokenizer is not None
        return JointChain(self.tokenizer, vocoder)

    def parameter_groups(self) -> list[dict[str, Any]]:
        recipe, chain = self.recipe, self.network
        parts = (
            (chain.vocoder, recipe.learning_rate),
            (chain.tokenizer.decoder, recipe.decoder_learning_rate),
        )
        return [
            {"params": list(part.parameters()), "lr": rate, "initial_lr": rate}
            for part, rate in parts
        ]

    def step(self, step: int) -> dict[str, float]:
        """Encode, decode, make a waveform, judge it and the mel between, update."""
        chain = self.network.train()
        waveform = torch.from_numpy(self.crops.batch(step)).to(self.device)
        with torch.no_grad():
            mel = self.log_mel(waveform)
        with autocast(self.device, self.recipe.precision):
            decoded = chain.decode(mel)
        made = chain.vocoder(decoded)
        total, losses = self.judge(made, waveform, mel, step, decoded)
        losses["decoded_mel_loss"] = (decoded - mel).abs().mean()
        total = total + self.recipe.decoded_mel_weight * losses["decoded_mel_loss"]
        norm = update(total, chain, self.optimizers["network"])
        numbers = {name: float(loss.detach()) for name, loss in losses.items()}
        return {**numbers, "gradient_norm": norm}

    def validate(self, network: nn.Module) -> dict[str, float]:
        mel = self.log_mel(self.validation)
        decoded, made = network(mel)
        rebuilt = self.log_mel(made)
        away = (rebuilt - mel).abs()
        ratios = [
            total_variation_ratio(mel, image, self.recipe.network.mel)
            for image in (rebuilt, decoded)
        ]
        return {
            "flicker": ratios[0].flicker or 0.0,
            "grain": ratios[0].grain or 0.0,
            "decoded_flicker": ratios[1].flicker or 0.0,
            "decoded_grain": ratios[1].grain or 0.0,
            "mel_loss": float(away.mean()),
            "mel_loss_below_15_khz": float(away[:, self.audible].mean()),
            "decoded_mel_loss_below_15_khz": float((decoded - mel).abs()[:, self.audible].mean()),
        }

    def export(self, network: nn.Module, folder: Path) -> None:
        """Write folder/tokenizer and folder/vocoder: two models that belong together."""
        assert isinstance(network, JointChain)
        for kind, part in ((TOKENIZER_KIND, network.tokenizer), (VOCODER_KIND, network.vocoder)):
            save_network(part, folder / kind.name, kind_of(part).name)

    def _reconstruct(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        mel = self.log_mel(self.validation)
        return mel, self.log_mel(network(mel)[1])
