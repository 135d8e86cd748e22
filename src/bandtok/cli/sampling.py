"""Options of the commands that write music: how codes are drawn, and what prompts may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

if TYPE_CHECKING:
    from bandtok.api.music_model import MusicModel

Temperature = Annotated[
    float | None, typer.Option("--temperature", help="Below 1 safer, above 1 wilder.", min=0)
]
TopK = Annotated[
    int | None, typer.Option("--top-k", help="Draw from the k likeliest tokens; 0: all.", min=0)
]
TopP = Annotated[
    float | None,
    typer.Option("--top-p", help="Draw from the tokens that hold this probability.", max=1),
]
GuidanceScale = Annotated[
    float | None,
    typer.Option("--guidance-scale", help="How closely to follow the prompt; 1: no guidance."),
]
BeatScale = Annotated[
    float,
    typer.Option("--beat-guidance-scale", help="How strictly to keep the beat; 0: no beat.", min=0),
]


class Sampling(TypedDict, total=False):
    """Sampling settings given by the user; what is absent is the model's own default."""

    temperature: float
    top_k: int
    top_p: float
    guidance_scale: float


def chosen_sampling(
    temperature: float | None, top_k: int | None, top_p: float | None, guidance_scale: float | None
) -> Sampling:
    """Keep the settings that were given."""
    sampling = Sampling()
    if temperature is not None:
        sampling["temperature"] = temperature
    if top_k is not None:
        sampling["top_k"] = top_k
    if top_p is not None:
        sampling["top_p"] = top_p
    if guidance_scale is not None:
        sampling["guidance_scale"] = guidance_scale
    return sampling


def warn_of_long_prompts(model: MusicModel, prompts: Iterable[str], quiet: bool) -> None:
    """Say on stderr which prompts are longer than the model hears."""
    for prompt in dict.fromkeys(prompts):
        if not quiet and not model.hears_all_of(prompt):
            start = " ".join(prompt.split())[:40]
            typer.echo(f"bandtok: only the beginning of the prompt {start!r}... is heard", err=True)
