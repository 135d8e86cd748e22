"""The music language model: text -> codes. Light to import; text encoders load when asked for."""

from bandtok.music_lm.config import DEBUG_MUSIC_LM, MusicLMConfig
from bandtok.music_lm.generation import complete_codes, generate_codes
from bandtok.music_lm.model import MusicLM, pack_for_decoding
from bandtok.music_lm.sampling import SamplingConfig
from bandtok.music_lm.text import TextEncoder, TextStates, load_text_encoder

__all__ = [
    "DEBUG_MUSIC_LM",
    "MusicLM",
    "MusicLMConfig",
    "SamplingConfig",
    "TextEncoder",
    "TextStates",
    "complete_codes",
    "generate_codes",
    "load_text_encoder",
    "pack_for_decoding",
]
