"""BandTok: music as a grid of tokens, frequency bands by time frames.

The public names are below; each is loaded when it is first used, so that ``import bandtok`` itself
needs only the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandtok.audio import Audio
    from bandtok.audio_writer import ClippingWarning
    from bandtok.errors import BandTokError
    from bandtok.grid import TokenGrid
    from bandtok.journal import EncodingJournal
    from bandtok.pipeline import Clip, MusicModel, Tokenizer
    from bandtok.region import Region

__version__ = "0.1.0"

__all__ = [
    "Tokenizer",
    "MusicModel",
    "TokenGrid",
    "Audio",
    "Clip",
    "Region",
    "EncodingJournal",
    "BandTokError",
    "ClippingWarning",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    value: object
    if name in ("Tokenizer", "MusicModel", "Clip"):
        from bandtok import pipeline

        value = getattr(pipeline, name)
    elif name == "TokenGrid":
        from bandtok.grid import TokenGrid as value
    elif name == "Audio":
        from bandtok.audio import Audio as value
    elif name == "Region":
        from bandtok.region import Region as value
    elif name == "EncodingJournal":
        from bandtok.journal import EncodingJournal as value
    elif name == "BandTokError":
        from bandtok.errors import BandTokError as value
    elif name == "ClippingWarning":
        from bandtok.audio_writer import ClippingWarning as value
    else:
        raise AttributeError(f"module 'bandtok' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
