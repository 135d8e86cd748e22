"""What the kinds of tokenizer network have in common: ln-mel image to codes and back.

    mel [batch, n_mels, mel_frames] -> codes [batch, bands, frames] -> mel

Knows nothing of waveforms, files or windows, nor of what the rows of codes stand for.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bandtok.errors import GridError
from bandtok.layers.mel_image import MelImageConfig
from bandtok.layers.quantizer import LatentQuantizer


@dataclass(frozen=True, kw_only=True)
class TokenizerOutput:
    """What one training pass gives.

    Attributes:
        mel: reconstruction, ln-mel [batch, n_mels, mel_frames].
        latents: before quantisation, [batch, code_dim, rows, frames].
        codes: int64 [batch, bands, frames].
        commitment_loss: scalar.
    """

    mel: Tensor
    latents: Tensor
    codes: Tensor
    commitment_loss: Tensor


class MelTokenizer(nn.Module):
    """Encoder, quantiser, decoder.

    Args:
        config: its shape.
        encoder: normalised mel [batch, n_mels, mel_frames] -> latents
            [batch, code_dim, rows, frames].
        quantizer: latents <-> codes.
        decoder: latents -> normalised mel.
    """

    def __init__(
        self,
        config: MelImageConfig,
        *,
        encoder: nn.Module,
        quantizer: LatentQuantizer,
        decoder: nn.Module,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.quantizer, self.decoder = encoder, quantizer, decoder
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, mel: Tensor, quantize: bool = True) -> TokenizerOutput:
        """Reconstruct an ln-mel [batch, n_mels, mel_frames].

        With `quantize` False the latents by-pass the codebook.
        """
        latents = self.encode_latents(mel)
        result = self.quantizer(latents)
        passed = result.quantized if quantize else latents
        return TokenizerOutput(
            mel=self.decode_latents(passed),
            latents=latents,
            codes=result.codes,
            commitment_loss=result.commitment_loss,
        )

    def encode_latents(self, mel: Tensor) -> Tensor:
        """Return latents [batch, code_dim, rows, frames] of an ln-mel."""
        n_mels, reduction = self.config.mel.n_mels, self.config.reduction
        if mel.ndim != 3 or mel.shape[1] != n_mels or mel.shape[2] % reduction:
            raise GridError(
                f"got a mel of shape {tuple(mel.shape)}; expected [batch, {n_mels}, "
                f"mel_frames] with mel_frames a multiple of {reduction}"
            )
        latents: Tensor = self.encoder((mel - self.config.mel_mean) / self.config.mel_std)
        return latents

    def decode_latents(self, latents: Tensor, first_frame: int = 0) -> Tensor:
        """Return the ln-mel of latents [batch, code_dim, rows, frames], kept above the floor.

        `first_frame` is the position in the piece of the first frame; see `MelDecoder`.
        """
        mel = (
            self.decoder(latents, first_frame).float() * self.config.mel_std + self.config.mel_mean
        )
        if not self.training:
            mel = mel.clamp(min=self.config.mel.silence)
        return mel

    def untrained_decoder_parts(self) -> dict[str, Tensor]:
        """Return the state of those parts of the decoder that older weights do not have.

        They change nothing before they are trained, so a grown decoder can start from such weights.
        """
        parts = ("noise.", "fine.")
        return {
            k: v
            for k, v in self.state_dict().items()
            if k.startswith("decoder.") and any(p in k for p in parts)
        }

    @torch.no_grad()
    def encode_mel(self, mel: Tensor) -> Tensor:
        """Return codes, int64 [batch, bands, frames], of an ln-mel [batch, n_mels, mel_frames]."""
        return self.quantizer.encode(self.encode_latents(mel))

    @torch.no_grad()
    def decode_codes(self, codes: Tensor, first_frame: int = 0) -> Tensor:
        """Return the ln-mel [batch, n_mels, mel_frames] of codes [batch, bands, frames]."""
        return self.decode_latents(self.quantizer.decode(codes), first_frame)
