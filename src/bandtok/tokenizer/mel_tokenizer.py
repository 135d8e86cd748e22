"""What the kinds of tokenizer network have in common: ln-mel image to codes and back.

    mel [batch, n_mels, mel_frames] -> codes [batch, bands, frames] -> mel

Knows nothing of waveforms, files or windows, nor of what the rows of codes stand for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bandtok.errors import GridError
from bandtok.tokenizer.decoder import FineStage, NoiseInput
from bandtok.tokenizer.mel_image import MelImageConfig
from bandtok.tokenizer.quantizer import LatentQuantizer


@dataclass(frozen=True, kw_only=True)
class TokenizerOutput:
    """What one training pass gives.

    Attributes:
        mel: reconstruction, ln-mel [batch, n_mels, mel_frames].
        latents: before quantization, [batch, code_dim, rows, frames].
        codes: int64 [batch, bands, frames].
        commitment_loss: scalar.
    """

    mel: Tensor
    latents: Tensor
    codes: Tensor
    commitment_loss: Tensor


class MelTokenizer(nn.Module):
    """Encoder, quantizer, decoder.

    Args:
        config: its shape.
        encoder: normalized mel [batch, n_mels, mel_frames] -> latents
            [batch, code_dim, rows, frames].
        quantizer: latents <-> codes.
        decoder: latents -> normalized mel.
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
        """Return the ln-mel [batch, n_mels, mel_frames] of latents; in evaluation above the floor.

        Args:
            latents: [batch, code_dim, rows, frames].
            first_frame: position of the first frame in the piece; see `MelDecoder`.
        """
        normalized = self.decoder(latents, first_frame).float()
        mel = normalized * self.config.mel_std + self.config.mel_mean
        if not self.training:
            mel = mel.clamp(min=self.config.mel.silence)
        result: Tensor = mel
        return result

    def untrained_decoder_parts(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the state of the optional decoder parts that are missing from older weights.

        These parts have no effect before they are trained, so that the decoder decodes as the
        older one does.

        Args:
            weights: state dict of a tokenizer with a smaller decoder.
        """
        optional = [
            f"decoder.{name}."
            for name, part in self.decoder.named_modules()
            if isinstance(part, FineStage | NoiseInput)
        ]
        missing = tuple(p for p in optional if not any(key.startswith(p) for key in weights))
        return {key: value for key, value in self.state_dict().items() if key.startswith(missing)}

    @torch.no_grad()
    def encode_mel(self, mel: Tensor) -> Tensor:
        """Return codes, int64 [batch, bands, frames], of an ln-mel [batch, n_mels, mel_frames]."""
        return self.quantizer.encode(self.encode_latents(mel))

    @torch.no_grad()
    def decode_codes(self, codes: Tensor, first_frame: int = 0) -> Tensor:
        """Return the ln-mel [batch, n_mels, mel_frames] of codes [batch, bands, frames].

        `first_frame` is the position of the first of them in the piece; see `MelDecoder`.
        """
        return self.decode_latents(self.quantizer.decode(codes), first_frame)
