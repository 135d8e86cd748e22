"""Layers of codebooks, each for what those before it left over.

    latents [batch, code_dim, 1, frames] -> codes [batch, layers, frames]

Every layer is the band tokenizer's `Quantizer`, with its moving averages, k-means start and
replacement of dead entries, so that the two systems differ in the layers alone. The ResidualVQ of
vector-quantize-pytorch was not taken: it starts, moves and revives its codebooks inside the forward
pass and from the global random state, while runs here go on bit for bit from (seed, step) and a
forward pass changes no buffer.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import torch
from torch import Tensor, nn

from bandtok.tokenizer.quantizer import (
    LatentQuantizer,
    Quantized,
    Quantizer,
    rotated,
    straight_through,
)


class ResidualQuantizer(LatentQuantizer):
    """Sum of one entry from each codebook, chosen greedily, coarsest first.

    Args:
        num_layers: number of codebooks.
        codebook_size: entries of each.
        code_dim: length of each entry.

    Attributes:
        kept_layers: int64 [batch], the first layers that a training pass lets through for each
            item (quantizer dropout); None for all. Codes are those of every layer all the same.
    """

    def __init__(self, num_layers: int, codebook_size: int, code_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Quantizer(codebook_size, code_dim) for _ in range(num_layers))
        self.kept_layers: Tensor | None = None

    def codebooks(self) -> list[Quantizer]:
        return [layer for layer in self.layers if isinstance(layer, Quantizer)]

    def rows_by_codebook(self, codes: Tensor) -> list[Tensor]:
        return list(codes.split(1, dim=1))

    def forward(self, latents: Tensor) -> Quantized:
        """Quantize; changes no buffer. The commitment loss is the mean over the layers' own."""
        kept = self.kept_layers if self.training else None
        codes, losses, passed = [], [], torch.zeros_like(latents)
        left = latents
        for index, layer in enumerate(self.codebooks()):
            chosen = layer.encode(left)
            entries = layer.decode(chosen)
            losses.append((left - entries).square().mean())
            codes.append(chosen)
            shown = entries if kept is None else entries * (kept > index)[:, None, None, None]
            passed, left = passed + shown, left - entries
        through = rotated if self.rotation else straight_through
        return Quantized(
            quantized=through(latents, passed),
            codes=torch.cat(codes, dim=1),
            commitment_loss=torch.stack(losses).mean(),
        )

    @torch.no_grad()
    def encode(self, latents: Tensor) -> Tensor:
        """Return the index of each layer's nearest entry, int64 [batch, layers, frames]."""
        codes, left = [], latents
        for layer in self.codebooks():
            codes.append(layer.encode(left))
            left = left - layer.decode(codes[-1])
        return torch.cat(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the sum of the entries at `codes`, [batch, code_dim, 1, frames].

        `codes` may hold the first layers only; the sum is then the coarser for it.
        """
        layers = zip(self.codebooks(), codes.split(1, dim=1), strict=False)
        return reduce(torch.add, (layer.decode(chosen) for layer, chosen in layers))

    def residuals(self, latents: Tensor, codes: Tensor) -> Iterator[Tensor]:
        """Yield what each layer was given, [batch, code_dim, 1, frames].

        The next is computed before the caller gets the one before, and may move its codebook.
        """
        left = latents
        for layer, chosen in zip(self.codebooks(), codes.split(1, dim=1), strict=True):
            given, left = left, left - layer.decode(chosen)
            yield given
