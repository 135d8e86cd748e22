"""BandTok: music as a grid of tokens, frequency bands by time frames.

The public names are below; each is loaded when it is first used, so that ``import bandtok`` itself
needs only the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bandtok.api.clip import Clip
    from bandtok.api.generation_config import GenerationConfig
    from bandtok.api.music_model import MusicModel
    from bandtok.api.tokenizer import Tokenizer
    from bandtok.errors import BandTokError
    from bandtok.signal.audio import Audio
    from bandtok.signal.audio_writer import ClippingWarning
    from bandtok.tokens.grid import TokenGrid
    from bandtok.tokens.journal import EncodingJournal
    from bandtok.tokens.region import Region

__version__ = "0.1.0"

__all__ = [
    "Tokenizer",
    "MusicModel",
    "GenerationConfig",
    "TokenGrid",
    "Audio",
    "Clip",
    "Region",
    "EncodingJournal",
    "BandTokError",
    "AudioWarning",
    "ClippingWarning",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use (PEP 562)."""
    value: object
    if name == "Tokenizer":
        from bandtok.api.tokenizer import Tokenizer as value
    elif name == "MusicModel":
        from bandtok.api.music_model import MusicModel as value
    elif name == "Clip":
        from bandtok.api.clip import Clip as value
    elif name == "GenerationConfig":
        from bandtok.api.generation_config import GenerationConfig as value
    elif name == "TokenGrid":
        from bandtok.tokens.grid import TokenGrid as value
    elif name == "Audio":
        from bandtok.signal.audio import Audio as value
    elif name == "Region":
        from bandtok.tokens.region import Region as value
    elif name == "EncodingJournal":
        from bandtok.tokens.journal import EncodingJournal as value
    elif name == "BandTokError":
        from bandtok.errors import BandTokError as value
    elif name == "AudioWarning":
        from bandtok.errors import AudioWarning as value
    elif name == "ClippingWarning":
        from bandtok.signal.audio_writer import ClippingWarning as value
    else:
        raise AttributeError(f"module 'bandtok' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
