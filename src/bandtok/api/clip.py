"""A generated or edited piece: its tokens, and the audio that they decode to."""

from __future__ import annotations

from dataclasses import dataclass

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

    def __repr__(self) -> str:
        return f"Clip({self.audio!r}, {self.grid!r})"

    def _repr_html_(self) -> str:
        """Return a player and a picture of the tokens for notebooks."""
        return self.audio._repr_html_() + self.grid._repr_html_()
