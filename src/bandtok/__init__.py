"""BandTok: music as a grid of tokens, frequency bands by time frames.

The public names are below; each is loaded when it is first used, so that ``import bandtok`` itself
needs only the standard library.
"""

from __future__ import annotations

import importlib
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

_HOMES = {
    "Tokenizer": "bandtok.pipeline",
    "MusicModel": "bandtok.pipeline",
    "TokenGrid": "bandtok.grid",
    "Audio": "bandtok.audio",
    "Clip": "bandtok.pipeline",
    "Region": "bandtok.region",
    "EncodingJournal": "bandtok.journal",
    "BandTokError": "bandtok.errors",
    "ClippingWarning": "bandtok.audio_writer",
}


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bandtok' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
