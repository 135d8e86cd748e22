"""The music language model: text -> codes. Light to import; text encoders load when asked for."""

from bandtok.music_lm.config import DEBUG_MUSIC_LM, MusicLMConfig
from bandtok.music_lm.decoding import StepWeights
from bandtok.music_lm.generation import complete_codes, generate_batch, generate_codes
from bandtok.music_lm.model import MusicLM
from bandtok.music_lm.sampling import SamplingConfig
from bandtok.music_lm.text import TextEncoder, TextStates
from bandtok.music_lm.text_encoder import load_text_encoder

__all__ = [
    "DEBUG_MUSIC_LM",
    "MusicLM",
    "MusicLMConfig",
    "SamplingConfig",
    "StepWeights",
    "TextEncoder",
    "TextStates",
    "complete_codes",
    "generate_batch",
    "generate_codes",
    "load_text_encoder",
]
