"""BandTok's models in Hugging Face transformers; importing this registers them.

`audio`: the tokenizer; `music`: text to music.
"""

from bandtok.integrations.transformers.audio import (
    BandTokConfig,
    BandTokDecoderOutput,
    BandTokEncoderOutput,
    BandTokFeatureExtractor,
    BandTokModel,
    BandTokOutput,
)
from bandtok.integrations.transformers.music import (
    BandTokForTextToMusic,
    BandTokMusicConfig,
    BandTokMusicOutput,
    MusicCache,
    text_tokenizer,
)

__all__ = [
    "BandTokConfig",
    "BandTokDecoderOutput",
    "BandTokEncoderOutput",
    "BandTokFeatureExtractor",
    "BandTokForTextToMusic",
    "BandTokModel",
    "BandTokMusicConfig",
    "BandTokMusicOutput",
    "BandTokOutput",
    "MusicCache",
    "text_tokenizer",
]
