"""One shared codebook: latents to the index of their nearest entry, and back.

    latents [batch, code_dim, bands, frames] -> codes [batch, bands, frames]

In training the codebook follows the data by exponential moving averages, starts from k-means over
many batches, and entries that fall out of use are put where data is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

_LOOKUP_ROWS = 16_384


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What quantization gives.

    Attributes:
        quantized: [batch, code_dim, rows, frames], gradients pass straight to the latents.
        codes: int64 [batch, bands, frames].
        commitment_loss: scalar, mean squared distance of latents to their (fixed) entries.
    """

    quantized: Tensor
    codes: Tensor
    commitment_loss: Tensor


class LatentQuantizer(nn.Module, ABC):
    """Latents to codes and back; one codebook or several.

    Attributes:
        rotation: gradients pass by rotation instead of straight through; matters to training only.
    """

    rotation = False

    @abstractmethod
    def codebooks(self) -> list[Quantizer]:
        """Return the quantizers that hold a codebook each."""

    @abstractmethod
    def rows_by_codebook(self, codes: Tensor) -> list[Tensor]:
        """Return the rows of codes [batch, bands, frames] that each codebook gave."""

    @abstractmethod
    def forward(self, latents: Tensor) -> Quantized:
        """Quantize latents [batch, code_dim, rows, frames]; changes no buffer."""

    @abstractmethod
    def encode(self, latents: Tensor) -> Tensor:
        """Return codes, int64 [batch, bands, frames]."""

    @abstractmethod
    def decode(self, codes: Tensor) -> Tensor:
        """Return the vectors that codes stand for, [batch, code_dim, rows, frames]."""


class Quantizer(LatentQuantizer):
    """Nearest-neighbor vector quantizer with an EMA codebook.

    Args:
        codebook_size: number of entries.
        code_dim: length of each entry.
        decay: of the moving averages.
        dead_code_threshold: an entry is dead when its averaged count falls below this share of the
        count
            it would have if all were used alike.

    Source: van den Oord et al. 2017 (appendix A.1) for the moving averages; Dhariwal et al. 2020
    for replacing dead entries by data. The count and sum of a replaced entry restart with it.
    """

    codebook: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        codebook_size: int,
        code_dim: int,
        decay: float = 0.99,
        dead_code_threshold: float = 0.1,
    ) -> None:
        super().__init__()
        self.decay, self.dead_code_threshold = decay, dead_code_threshold
        codebook = torch.randn(codebook_size, code_dim)
        self.register_buffer("codebook", codebook)
        self.register_buffer("counts", torch.ones(codebook_size), persistent=False)
        self.register_buffer("sums", codebook.clone(), persistent=False)

    def codebooks(self) -> list[Quantizer]:
        return [self]

    def rows_by_codebook(self, codes: Tensor) -> list[Tensor]:
        return [codes]

    def forward(self, latents: Tensor) -> Quantized:
        """Quantize; changes no buffer."""
        codes = self.encode(latents)
        entries = self.decode(codes)
        passed = rotated if self.rotation else straight_through
        return Quantized(
            quantized=passed(latents, entries),
            codes=codes,
            commitment_loss=(latents - entries.detach()).square().mean(),
        )

    @torch.no_grad()
    def encode(self, latents: Tensor) -> Tensor:
        """Return the index of the nearest entry, int64 [batch, bands, frames]."""
        rows = rearrange(latents, "b c h w -> (b h w) c")
        nearest = torch.cat(
            [nearest_entry(part, self.codebook) for part in rows.split(_LOOKUP_ROWS)]
        )
        batch, _, bands, frames = latents.shape
        return nearest.reshape(batch, bands, frames)

    def decode(self, codes: Tensor) -> Tensor:
        """Return the entries at `codes`, [batch, code_dim, bands, frames]."""
        return rearrange(self.codebook[codes], "b h w c -> b c h w")

    @torch.no_grad()
    def update(self, latents: Tensor, codes: Tensor) -> None:
        """Move every entry towards the latents that chose it."""
        rows, chosen = rearrange(latents, "b c h w -> (b h w) c"), codes.reshape(-1)
        sums = torch.zeros_like(self.sums).index_add_(0, chosen, rows)
        self.follow_counts(codes)
        self.sums.lerp_(sums, 1 - self.decay)
        seen = self.counts > 1e-4
        self.codebook[seen] = self.sums[seen] / self.counts[seen, None]

    @torch.no_grad()
    def restart_averages(self) -> None:
        """Begin the moving averages at the entries, as if each had been chosen once."""
        self.counts.fill_(1)
        self.sums.copy_(self.codebook)

    @torch.no_grad()
    def follow_counts(self, codes: Tensor) -> None:
        """Average how often each entry is chosen; moves none."""
        counts = torch.bincount(codes.reshape(-1), minlength=len(self.codebook))
        self.counts.lerp_(counts.to(self.counts.dtype), 1 - self.decay)

    @torch.no_grad()
    def reset_dead_codes(self, latents: Tensor, generator: torch.Generator) -> int:
        """Move dead entries to randomly sampled latents; return how many."""
        rows = rearrange(latents, "b c h w -> (b h w) c")
        fair = self.counts.sum() / len(self.counts)
        dead = (self.counts < self.dead_code_threshold * fair).nonzero()[:, 0]
        dead = dead[: len(rows)]
        sampled = rows[torch.randperm(len(rows), generator=generator)[: len(dead)]]
        self._place(dead, sampled, fair.expand(len(dead)))
        return len(dead)

    @torch.no_grad()
    def initialize(self, rows: Tensor, generator: torch.Generator, iterations: int = 10) -> None:
        """Start from k-means over `rows` [number, code_dim]; needs at least one row per entry."""
        size = len(self.codebook)
        assert len(rows) >= size, "k-means needs at least one vector per entry"
        centers = rows[torch.randperm(len(rows), generator=generator)[:size]].clone()
        for _ in range(iterations):
            chosen = torch.cat([nearest_entry(part, centers) for part in rows.split(_LOOKUP_ROWS)])
            counts = torch.bincount(chosen, minlength=size).to(rows.dtype)
            sums = torch.zeros_like(centers).index_add_(0, chosen, rows)
            used = counts > 0
            centers[used] = sums[used] / counts[used, None]
            empty = (~used).nonzero()[:, 0]
            sampled = torch.randperm(len(rows), generator=generator)[: len(empty)]
            centers[empty] = rows[sampled]
        self._place(torch.arange(size), centers, torch.ones(size))

    def _place(self, index: Tensor, entries: Tensor, counts: Tensor) -> None:
        self.codebook[index] = entries
        self.counts[index] = counts
        self.sums[index] = entries * counts[:, None]


def nearest_entry(rows: Tensor, codebook: Tensor) -> Tensor:
    """Return the index of the Euclidean-nearest entry for each row; the lowest index wins a tie."""
    scores = torch.addmm(codebook.square().sum(1) * -0.5, rows, codebook.T)
    return scores.argmax(dim=1)


def straight_through(latents: Tensor, entries: Tensor) -> Tensor:
    """Return `entries`, with the gradient of `latents`."""
    return latents + (entries - latents).detach()


def rotated(latents: Tensor, entries: Tensor) -> Tensor:
    """Return `entries` as the latents rotated and stretched onto them; both are then constants.

    Vectors lie along dimension 1. A gradient keeps its angle to the vector it belongs to.

    Source: Fifty et al. 2024, "Restructuring vector quantization with the rotation trick".
    """
    length, target = latents.norm(dim=1, keepdim=True), entries.norm(dim=1, keepdim=True)
    source = (latents / length.clamp(min=1e-6)).detach()
    aim = (entries / target.clamp(min=1e-6)).detach()
    middle = source + aim
    middle = (middle / middle.norm(dim=1, keepdim=True).clamp(min=1e-6)).detach()
    mapped = (
        latents
        - 2 * middle * (latents * middle).sum(1, keepdim=True)
        + 2 * aim * (latents * source).sum(1, keepdim=True)
    )
    result: Tensor = mapped * (target / length.clamp(min=1e-6)).detach()
    return result
