"""The codec's networks in torch: modules seen as functions from arrays to arrays."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.torch_checkpoint import network_fingerprint


class TorchCodec:
    """A tokenizer network as a `CodecNetwork`.

    Args:
        network: mel <-> codes, in evaluation mode.
        device: where it lies.
    """

    def __init__(self, network: MelTokenizer, device: str = "cpu") -> None:
        self.network, self.device, self.config = network, device, network.config
        self.fingerprint = network_fingerprint(network)

    @torch.inference_mode()
    def encode_mel(self, mel: np.ndarray) -> np.ndarray:
        codes = self.network.encode_mel(_tensor(mel, self.device)[None])[0]
        return codes.cpu().numpy()

    @torch.inference_mode()
    def decode_codes(self, codes: np.ndarray, first_frame: int = 0) -> np.ndarray:
        mel = self.network.decode_codes(_tensor(codes, self.device)[None], first_frame)[0]
        return mel.cpu().numpy()


class ExternalVocoder:
    """A mel vocoder made of any torch module; a `VocoderNetwork`.

    Args:
        network: turns an ln-mel [batch, n_mels, mel_frames] into [batch, 1, mel_frames * hop].
        reach: mel frames on either side that a sample of its output can depend on.

    Example, with the public BigVGAN package and weights (same mel, see docs/vocoders.md)::

        network = bigvgan.BigVGAN.from_pretrained("nvidia/bigvgan_v2_44khz_128band_512x")
        tokenizer = bandtok.Tokenizer.from_pretrained(vocoder=ExternalVocoder(network, reach=64))
    """

    def __init__(self, network: nn.Module, reach: int) -> None:
        self.network, self.reach, self.device = network.eval(), reach, "cpu"

    def to(self, device: str) -> ExternalVocoder:
        """Move the network to a device and return self."""
        self.network, self.device = self.network.to(device), device
        return self

    @torch.inference_mode()
    def decode_mel(self, mel: np.ndarray) -> np.ndarray:
        result: np.ndarray = self.network(_tensor(mel, self.device)[None])[0, 0].cpu().numpy()
        return result


def _tensor(array: np.ndarray, device: str) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)
