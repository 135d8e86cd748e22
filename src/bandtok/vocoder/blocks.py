"""The convolutional block of the vocoder, with a finite receptive field.

Signals are [batch, channels, length]. Normalization works on the channels of one position: nothing
here pools over time, so that an output never depends on anything outside its receptive field.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bandtok.vocoder.config import KERNEL_SIZE


class ConvNeXtBlock1d(nn.Module):
    """Depthwise convolution, then a pointwise network, scaled and added to the input.

    Source: Liu et al. 2022 (ConvNeXt), in one dimension as in Vocos (Siuzdak 2023).
    """

    kernel_size = KERNEL_SIZE
    reach = KERNEL_SIZE // 2

    def __init__(self, channels: int, expansion: int, initial_scale: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(
            channels, channels, self.kernel_size, padding=self.reach, groups=channels
        )
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, channels * expansion)
        self.project = nn.Linear(channels * expansion, channels)
        self.scale = nn.Parameter(torch.full((channels,), initial_scale))

    def forward(self, signal: Tensor) -> Tensor:
        inner = self.norm(self.depthwise(signal).transpose(1, 2))
        inner = self.scale * self.project(F.gelu(self.expand(inner), approximate="tanh"))
        result: Tensor = signal + inner.transpose(1, 2)
        return result
