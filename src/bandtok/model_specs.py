"""The kinds of network there are, for loading and saving by name."""

from __future__ import annotations

from bandtok.checkpoint import ModelSpec
from bandtok.lm.config import DEBUG_MUSIC_LM, MusicLMConfig
from bandtok.lm.harmony import DEBUG_HARMONY, HarmonyConfig
from bandtok.lm.reranker_config import DEBUG_RERANKER, RerankerConfig
from bandtok.tokenizer.config import DEBUG_TOKENIZER, TokenizerConfig
from bandtok.tokenizer.residual_config import DEBUG_RESIDUAL, ResidualConfig
from bandtok.vocoder.config import DEBUG_VOCODER, VocoderConfig

RESIDUAL_SPEC = ModelSpec(name="residual", config=ResidualConfig, debug=DEBUG_RESIDUAL)
TOKENIZER_SPEC = ModelSpec(
    name="tokenizer", config=TokenizerConfig, debug=DEBUG_TOKENIZER, others=(RESIDUAL_SPEC,)
)
VOCODER_SPEC = ModelSpec(name="vocoder", config=VocoderConfig, debug=DEBUG_VOCODER)
LM_SPEC = ModelSpec(name="lm", config=MusicLMConfig, debug=DEBUG_MUSIC_LM)
RERANKER_SPEC = ModelSpec(name="reranker", config=RerankerConfig, debug=DEBUG_RERANKER)
HARMONY_SPEC = ModelSpec(name="harmony", config=HarmonyConfig, debug=DEBUG_HARMONY)
SPECS = (TOKENIZER_SPEC, RESIDUAL_SPEC, VOCODER_SPEC, LM_SPEC, RERANKER_SPEC, HARMONY_SPEC)
