"""A generated or edited piece: its tokens, and the audio that they decode to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bandtok import provenance
from bandtok.signal.audio import Audio
from bandtok.tokens.grid import TokenGrid


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Generated music.

    Attributes:
        audio: what `grid` decodes to; from `MusicModel.generate`, at the requested loudness.
        grid: the tokens, which do not depend on that loudness.
    """

    audio: Audio
    grid: TokenGrid

    def with_prompt(self, prompt: str) -> Clip:
        """Return the clip with its prompt in clear in its provenance, which holds only a hash."""
        made = provenance.of_extra(self.grid.extra)
        if made is None:
            return self
        shown = provenance.with_prompt(made, prompt)
        grid = replace(self.grid, extra=self.grid.extra | {provenance.KEY: shown})
        return replace(self, audio=replace(self.audio, provenance=shown), grid=grid)

    def __repr__(self) -> str:
        return f"Clip({self.audio!r}, {self.grid!r})"

    def _repr_html_(self) -> str:
        """Return a player and a picture of the tokens for notebooks."""
        return self.audio._repr_html_() + self.grid._repr_html_()


def marked(
    grid: TokenGrid,
    operation: str,
    prompt: str,
    seed: int,
    settings: dict[str, object],
    source: TokenGrid | None = None,
) -> TokenGrid:
    """Return a grid with the record that says how it was made; see `bandtok.provenance.record`.

    Args:
        grid: made by the tokenizer that its `model_id` names.
        operation, prompt, seed, settings: as in `record`.
        source: the music that was continued or edited.
    """
    made = provenance.record(
        operation,
        model=grid.model_id,
        prompt=prompt,
        seed=seed,
        settings=settings,
        source=None if source is None else provenance.of_extra(source.extra),
    )
    return replace(grid, extra=grid.extra | {provenance.KEY: made})
