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
