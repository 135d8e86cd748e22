"""The kinds of network there are, for loading and saving by name."""

from __future__ import annotations

from bandtok.checkpoint import NetworkKind
from bandtok.music_lm.config import DEBUG_MUSIC_LM, MusicLMConfig
from bandtok.music_lm.model import MusicLM
from bandtok.tokenizer.config import DEBUG_TOKENIZER, TokenizerConfig
from bandtok.tokenizer.model import TokenizerNetwork
from bandtok.vocoder.config import DEBUG_VOCODER, VocoderConfig
from bandtok.vocoder.model import Vocoder

TOKENIZER_KIND = NetworkKind(
    name="tokenizer", network=TokenizerNetwork, config=TokenizerConfig, debug=DEBUG_TOKENIZER
)
VOCODER_KIND = NetworkKind(
    name="vocoder", network=Vocoder, config=VocoderConfig, debug=DEBUG_VOCODER
)
MUSIC_LM_KIND = NetworkKind(
    name="music_lm", network=MusicLM, config=MusicLMConfig, debug=DEBUG_MUSIC_LM
)
