"""The kinds of network there are, for loading and saving by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from bandtok.checkpoint import ModelSpec
from bandtok.errors import ConfigError
from bandtok.lm.config import DEBUG_MUSIC_LM, MusicLMConfig
from bandtok.lm.model import MusicLM
from bandtok.lm.reranker import DEBUG_RERANKER, Reranker, RerankerConfig
from bandtok.tokenizer.config import DEBUG_TOKENIZER, TokenizerConfig
from bandtok.tokenizer.mel_image import MelImageConfig
from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.tokenizer.model import TokenizerNetwork
from bandtok.tokenizer.residual_config import DEBUG_RESIDUAL, ResidualConfig
from bandtok.tokenizer.residual_model import ResidualNetwork
from bandtok.vocoder.config import DEBUG_VOCODER, VocoderConfig
from bandtok.vocoder.model import Vocoder

RESIDUAL_SPEC = ModelSpec(
    name="residual", network=ResidualNetwork, config=ResidualConfig, debug=DEBUG_RESIDUAL
)
TOKENIZER_SPEC = ModelSpec(
    name="tokenizer",
    network=TokenizerNetwork,
    config=TokenizerConfig,
    debug=DEBUG_TOKENIZER,
    others=(RESIDUAL_SPEC,),
)
VOCODER_SPEC = ModelSpec(name="vocoder", network=Vocoder, config=VocoderConfig, debug=DEBUG_VOCODER)
LM_SPEC = ModelSpec(name="lm", network=MusicLM, config=MusicLMConfig, debug=DEBUG_MUSIC_LM)
RERANKER_SPEC = ModelSpec(
    name="reranker", network=Reranker, config=RerankerConfig, debug=DEBUG_RERANKER
)
_KINDS = (TOKENIZER_SPEC, RESIDUAL_SPEC, VOCODER_SPEC, LM_SPEC, RERANKER_SPEC)


def tokenizer_network(config: MelImageConfig) -> MelTokenizer:
    """Build the tokenizer network that a config describes, with random weights."""
    for kind in (TOKENIZER_SPEC, RESIDUAL_SPEC):
        if isinstance(config, kind.config):
            network = kind.network(config)
            assert isinstance(network, MelTokenizer)
            return network
    raise AssertionError(f"no tokenizer is described by a {type(config).__name__}")


def grow_decoder(
    network: MelTokenizer, *, fine_blocks: int | None = None, noise_channels: int | None = None
) -> MelTokenizer:
    """Return the tokenizer with parts added to its decoder that have no effect until trained.

    Encoder, codebook and so the codes are the same.

    Args:
        network: tokenizer; returned as it is if nothing is to be added.
        fine_blocks: `decoder_fine_blocks` of the result; None for those of `network`.
        noise_channels: `decoder_noise_channels` of the result; None for those of `network`.

    Raises:
        ConfigError: if the decoder has such a part of another size already.
    """
    sizes = {"decoder_fine_blocks": fine_blocks, "decoder_noise_channels": noise_channels}
    wanted: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    for name, size in wanted.items():
        current = getattr(network.config, name)
        if current not in (0, size):
            raise ConfigError(
                f"got {name} {size}, but the tokenizer has {current} already; "
                f"expected {current}, or none to leave it as it is"
            )
    config = replace(network.config, **wanted)
    if config == network.config:
        return network
    grown = tokenizer_network(config)
    weights = network.state_dict()
    grown.load_state_dict(grown.untrained_decoder_parts(weights) | weights)
    return grown


def spec_for(network: nn.Module) -> ModelSpec:
    """Return the kind that a network is of."""
    return next(kind for kind in _KINDS if isinstance(network, kind.network))
