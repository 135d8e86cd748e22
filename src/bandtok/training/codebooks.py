"""How a codebook follows the data: the ways compared with one another.

All end in the same thing, entries in the network's quantizer; only the way there differs, so a
trained tokenizer does not know by which rule it was trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil, log
from typing import Protocol

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from bandtok.errors import ConfigError
from bandtok.tokenizer.quantizer import LatentQuantizer, Quantizer
from bandtok.tokenizer.residual_quantizer import ResidualQuantizer


class CodebookRule(Protocol):
    """Moves the entries of a quantizer.

    Attributes:
        module: what has a state of its own; saved with the run.
        optimizers: by name, their learning rates set by the loop.
    """

    module: nn.Module
    optimizers: dict[str, Optimizer]

    def start(self, rows: Tensor, generator: torch.Generator) -> None:
        """Place the entries, given latents [number, code_dim]."""
        ...

    def keep(self) -> None:
        """Go on from the entries that the quantizer has."""
        ...

    def move(self, latents: Tensor, codes: Tensor) -> None:
        """Follow latents [batch, code_dim, bands, frames] and codes [batch, bands, frames]."""
        ...

    def reset_dead_codes(self, latents: Tensor, generator: torch.Generator) -> int:
        """Put dead entries where data is; return how many."""
        ...


class EMACodebook:
    """Entries are moving averages of the latents that chose them (the paper's rule)."""

    def __init__(self, quantizer: Quantizer) -> None:
        self.quantizer = quantizer
        self.module, self.optimizers = nn.Module(), dict[str, Optimizer]()

    def start(self, rows: Tensor, generator: torch.Generator) -> None:
        self.quantizer.initialize(rows, generator)

    def keep(self) -> None:
        self.quantizer.restart_averages()

    def move(self, latents: Tensor, codes: Tensor) -> None:
        self.quantizer.update(latents, codes)

    def reset_dead_codes(self, latents: Tensor, generator: torch.Generator) -> int:
        return self.quantizer.reset_dead_codes(latents, generator)


class LearnedCodebook(nn.Module):
    """Entries are parameters, moved to the latents by the gradient of their squared distance.

    Source: van den Oord et al. 2017, the first of its two rules.
    """

    def __init__(self, size: int, code_dim: int) -> None:
        super().__init__()
        self.entries = nn.Parameter(torch.randn(size, code_dim))

    def forward(self) -> Tensor:
        return self.entries

    @torch.no_grad()
    def place(self, entries: Tensor) -> None:
        self.entries.copy_(entries)


class SimVQCodebook(nn.Module):
    """Entries are fixed vectors times one learned matrix, so that all move with every batch.

    Source: SimVQ (Zhu et al. 2024).
    """

    fixed: Tensor

    def __init__(self, size: int, code_dim: int) -> None:
        super().__init__()
        self.register_buffer("fixed", torch.randn(size, code_dim))
        self.matrix = nn.Parameter(torch.eye(code_dim))

    def forward(self) -> Tensor:
        return self.fixed @ self.matrix

    @torch.no_grad()
    def place(self, entries: Tensor) -> None:
        self.fixed.copy_(entries)
        self.matrix.copy_(torch.eye(len(self.matrix)))


class GradientRule:
    """Entries follow the gradient of their squared distance to the latents that chose them."""

    def __init__(
        self, quantizer: Quantizer, entries: LearnedCodebook | SimVQCodebook, rate: float
    ) -> None:
        self.quantizer, self.entries = quantizer, entries
        self.module: nn.Module = entries
        self.optimizers: dict[str, Optimizer] = {
            "codebook": AdamW(entries.parameters(), rate, betas=(0.9, 0.98), weight_decay=0.0)
        }

    def start(self, rows: Tensor, generator: torch.Generator) -> None:
        self.quantizer.initialize(rows, generator)
        self.keep()

    def keep(self) -> None:
        self.entries.place(self.quantizer.codebook)

    def move(self, latents: Tensor, codes: Tensor) -> None:
        rows, chosen = rearrange(latents, "b c h w -> (b h w) c"), codes.reshape(-1)
        optimizer = self.optimizers["codebook"]
        optimizer.zero_grad(set_to_none=True)
        # summed over the vector and averaged over cells, as a step for each entry that is used
        loss = (self.entries()[chosen] - rows).square().sum(1).mean()
        loss.backward()
        optimizer.step()
        self.quantizer.follow_counts(codes)
        with torch.no_grad():
            self.quantizer.codebook.copy_(self.entries())

    def reset_dead_codes(self, latents: Tensor, generator: torch.Generator) -> int:
        if isinstance(self.entries, SimVQCodebook):
            return 0  # all of them move with every batch
        reset_codes = self.quantizer.reset_dead_codes(latents, generator)
        self.entries.place(self.quantizer.codebook)
        return reset_codes


class LatticeCodebook:
    """Entries never move: a lattice of equal steps in every dimension, -1 to 1.

    Source: FSQ (Mentzer et al. 2023); here the commitment loss, not a tanh, keeps latents within.
    """

    def __init__(self, quantizer: Quantizer) -> None:
        self.quantizer = quantizer
        self.module, self.optimizers = nn.Module(), dict[str, Optimizer]()
        size, code_dim = quantizer.codebook.shape
        levels = lattice_levels(size, code_dim)
        axes = [torch.linspace(-1, 1, number).tolist() for number in levels]
        quantizer.codebook.copy_(torch.tensor(list(product(*axes))))

    def start(self, rows: Tensor, generator: torch.Generator) -> None:
        """Stay."""

    def keep(self) -> None:
        """Stay."""

    def move(self, latents: Tensor, codes: Tensor) -> None:
        self.quantizer.follow_counts(codes)

    def reset_dead_codes(self, latents: Tensor, generator: torch.Generator) -> int:
        return 0


def lattice_levels(size: int, code_dim: int) -> Sequence[int]:
    """Return `code_dim` numbers of levels, as equal as can be, whose product is `size`.

    Raises:
        ConfigError: if `size` is no such product of numbers above one.
    """
    levels, left = [], size
    for remaining in range(code_dim, 0, -1):
        wanted = ceil(round(left ** (1 / remaining), 6))
        level = next((n for n in range(wanted, left + 1) if left % n == 0), left)
        levels.append(level)
        left //= level
    if left != 1 or min(levels) < 2:
        raise ConfigError(
            f"got {size} codes of {code_dim} dimensions; a lattice needs a codebook_size that is a "
            f"product of {code_dim} numbers above one (at most {int(log(size, 2))} dimensions)"
        )
    return levels


class LayeredRule:
    """The same rule for each codebook of a residual quantizer, on what is left for its layer."""

    def __init__(self, quantizer: ResidualQuantizer, rules: Sequence[CodebookRule]) -> None:
        self.quantizer, self.rules = quantizer, rules
        self.module: nn.Module = nn.ModuleList(rule.module for rule in rules)
        self.optimizers: dict[str, Optimizer] = {
            f"{name}_{index}": optimizer
            for index, rule in enumerate(rules)
            for name, optimizer in rule.optimizers.items()
        }

    def start(self, rows: Tensor, generator: torch.Generator) -> None:
        """Start the layers in turn, each from what the started ones before it leave over."""
        left = rearrange(rows, "n c -> 1 c 1 n")
        for layer, rule in zip(self.quantizer.codebooks(), self.rules, strict=True):
            rule.start(rearrange(left, "1 c 1 n -> n c"), generator)
            left = left - layer.decode(layer.encode(left))

    def keep(self) -> None:
        for rule in self.rules:
            rule.keep()

    def move(self, latents: Tensor, codes: Tensor) -> None:
        given = self.quantizer.residuals(latents, codes)
        for rule, left, chosen in zip(self.rules, given, codes.split(1, dim=1), strict=True):
            rule.move(left, chosen)

    def reset_dead_codes(self, latents: Tensor, generator: torch.Generator) -> int:
        given = self.quantizer.residuals(latents, self.quantizer.encode(latents))
        return sum(
            rule.reset_dead_codes(left, generator)
            for rule, left in zip(self.rules, given, strict=True)
        )


def rule_for(name: str, quantizer: LatentQuantizer, rate: float) -> CodebookRule:
    """Return the rule called `name` for a quantizer with one codebook or with layers of them.

    Raises:
        ConfigError: if there is no such rule.
    """
    if isinstance(quantizer, ResidualQuantizer):
        rules = [quantizer_type(name, layer, rate) for layer in quantizer.codebooks()]
        return LayeredRule(quantizer, rules)
    assert isinstance(quantizer, Quantizer)
    return quantizer_type(name, quantizer, rate)


def quantizer_type(name: str, quantizer: Quantizer, rate: float) -> CodebookRule:
    """Return the rule called `name`: "ema", "gradient", "simvq" or "lattice".

    Raises:
        ConfigError: for any other name.
    """
    size, code_dim = quantizer.codebook.shape
    if name == "ema":
        return EMACodebook(quantizer)
    if name == "gradient":
        return GradientRule(quantizer, LearnedCodebook(size, code_dim), rate)
    if name == "simvq":
        return GradientRule(quantizer, SimVQCodebook(size, code_dim), rate)
    if name == "lattice":
        return LatticeCodebook(quantizer)
    raise ConfigError(f"got codebook rule {name!r}; expected ema, gradient, simvq or lattice")
