"""The music language model: text -> codes. Light to import; text encoders load when asked for."""

from bandtok.lm.config import DEBUG_MUSIC_LM, MusicLMConfig
from bandtok.lm.decoding import StepWeights
from bandtok.lm.generate import generate_batch, generate_codes, inpaint_codes
from bandtok.lm.model import MusicLM
from bandtok.lm.sampling import SamplingConfig
from bandtok.lm.text_embeddings import TextEmbeddings, TextEncoder
from bandtok.lm.text_encoder import load_text_encoder

__all__ = [
    "DEBUG_MUSIC_LM",
    "MusicLM",
    "MusicLMConfig",
    "SamplingConfig",
    "StepWeights",
    "TextEncoder",
    "TextEmbeddings",
    "inpaint_codes",
    "generate_batch",
    "generate_codes",
    "load_text_encoder",
]
