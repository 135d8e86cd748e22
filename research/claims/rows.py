"""What is trained: rows with a name, a recipe, settings, a seed and an amount of music.

Rows of one name are one training, whichever experiment asks for it. Trains nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from research.claims.ablations import Ablation
from research.claims.scales import Budget, Scale

SYSTEMS = ("band", "residual")
SCALES_OF_JUDGES = ("none", "1", "3")


@dataclass(frozen=True, kw_only=True)
class TokenizerRow:
    """A tokenizer.

    Attributes:
        name: of the run.
        budget: recipe, settings and cost.
        changes: settings of this row beside the budget's.
        seed: of weights and data.
        hours: training music, None for all.
        start: the row whose weights it starts from.
    """

    name: str
    budget: Budget
    seed: int
    changes: Mapping[str, str]
    hours: float | None = None
    start: TokenizerRow | None = None

    kind = "tokenizer"

    @property
    def needs(self) -> tuple[Row, ...]:
        return () if self.start is None else (self.start,)


@dataclass(frozen=True, kw_only=True)
class LanguageModelRow:
    """A language model; attributes as those of `TokenizerRow`, and the tokenizer it learns from."""

    name: str
    budget: Budget
    seed: int
    changes: Mapping[str, str]
    tokenizer: TokenizerRow
    hours: float | None = None

    kind = "lm"

    @property
    def needs(self) -> tuple[Row, ...]:
        return (self.tokenizer,)


Row = TokenizerRow | LanguageModelRow


def tokenizer_row(scale: Scale, system: str, seed: int, hours: float | None = None) -> TokenizerRow:
    """Return the tokenizer of a system, "band" or "residual"."""
    return TokenizerRow(
        name="-".join([system, *_size(hours), str(seed)]),
        budget=scale.tokenizers[system],
        seed=seed,
        changes={},
        hours=hours,
    )


def language_model_row(
    scale: Scale,
    system: str,
    seed: int,
    *,
    rope: str = "2d",
    order: str = "raster",
    hours: float | None = None,
) -> LanguageModelRow:
    """Return a language model on a system's tokens; tokenizer and model share seed and music.

    Codes of residual layers get embeddings of their own; bands share theirs.
    """
    most = scale.lm_hours
    kinds = ["delay"] if order == "delay" else []
    words = ["lm", system, rope, *kinds, *_size(hours)]
    shared = system == "band"
    return LanguageModelRow(
        name="-".join([*words, str(seed)]),
        budget=scale.language_model,
        seed=seed,
        changes={"rope": rope, "order": order, "rows_share_codes": str(shared).lower()},
        tokenizer=tokenizer_row(scale, system, seed, hours),
        hours=most if hours is None or (most is not None and most < hours) else hours,
    )


def sharpen_row(scale: Scale, discriminators: str, seed: int) -> TokenizerRow:
    """Return the decoder trained on against "none", "1" or "3" patch discriminators."""
    changes = (
        {"discriminator_start_step": "none"}
        if discriminators == "none"
        else {"num_scales": discriminators}
    )
    return TokenizerRow(
        name=f"sharpen-{discriminators}-{seed}",
        budget=scale.sharpen,
        seed=seed,
        changes=changes,
        start=tokenizer_row(scale, "band", seed),
    )


def lever_row(scale: Scale, ablation: Ablation, seed: int) -> TokenizerRow:
    """Return the band tokenizer with one ablation changed; with none changed, that tokenizer."""
    base = tokenizer_row(scale, "band", seed)
    if not ablation.settings:
        return base
    return replace(base, name=f"ablation-{ablation.name}-{seed}", changes=ablation.settings)


def with_needs(rows: Iterable[Row]) -> list[Row]:
    """Return the rows and those that they build on, each once, what is needed first."""
    found: dict[str, Row] = {}
    for row in rows:
        for one in (*with_needs(row.needs), row):
            found.setdefault(one.name, one)
    return list(found.values())


def size_name(hours: float | None) -> str:
    """Return what an amount of music is called."""
    return "all" if hours is None else f"{hours:g}h"


def _size(hours: float | None) -> list[str]:
    return [] if hours is None else [size_name(hours)]
