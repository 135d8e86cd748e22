"""What training minimises between sounds: mel distances, by loudness, at many resolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bandtok.mel import LogMel, MelConfig


def loud_mel_loss(estimate: Tensor, mel: Tensor) -> Tensor:
    """Return the mean distance of ln-mels [batch, n_mels, mel_frames], loud cells weighing most.

    A cell weighs the square root of its magnitude over that of its frame's loudest cell, so that a
    lone tone counts, though it is a few cells of 128.
    """
    weights = (0.5 * (mel - mel.amax(dim=1, keepdim=True))).exp()
    return (weights * (estimate - mel).abs()).sum() / weights.sum()


class MultiResolutionMelLoss(nn.Module):
    """L1 of log-mels over windows from 5 to 93 ms, hop a quarter of the window.

    Source: the multi-scale mel loss of DAC (Kumar et al. 2023), with fewer and wider scales.
    """

    def __init__(
        self,
        sample_rate: int,
        scales: Sequence[tuple[int, int]] = ((256, 24), (512, 40), (1024, 80), (4096, 256)),
    ) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(
            LogMel(
                MelConfig(
                    sample_rate=sample_rate,
                    n_fft=n_fft,
                    win_length=n_fft,
                    hop_length=n_fft // 4,
                    n_mels=n_mels,
                    f_max=sample_rate / 2,
                )
            )
            for n_fft, n_mels in scales
        )

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Return the scalar loss between waveforms [batch, 1, samples]."""
        losses = [(t(estimate) - t(reference)).abs().mean() for t in self.transforms]
        return torch.stack(losses).mean()
