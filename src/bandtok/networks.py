"""The kinds of network there are, for loading and saving by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from bandtok.checkpoint import NetworkKind
from bandtok.errors import ConfigError
from bandtok.layers.mel_image import MelImageConfig
from bandtok.layers.mel_tokenizer import MelTokenizer
from bandtok.music_lm.config import DEBUG_MUSIC_LM, MusicLMConfig
from bandtok.music_lm.listener import DEBUG_LISTENER, Listener, ListenerConfig
from bandtok.music_lm.model import MusicLM
from bandtok.residual.config import DEBUG_RESIDUAL, ResidualConfig
from bandtok.residual.model import ResidualNetwork
from bandtok.tokenizer.config import DEBUG_TOKENIZER, TokenizerConfig
from bandtok.tokenizer.model import TokenizerNetwork
from bandtok.vocoder.config import DEBUG_VOCODER, VocoderConfig
from bandtok.vocoder.model import Vocoder

RESIDUAL_KIND = NetworkKind(
    name="residual", network=ResidualNetwork, config=ResidualConfig, debug=DEBUG_RESIDUAL
)
TOKENIZER_KIND = NetworkKind(
    name="tokenizer",
    network=TokenizerNetwork,
    config=TokenizerConfig,
    debug=DEBUG_TOKENIZER,
    others=(RESIDUAL_KIND,),
)
VOCODER_KIND = NetworkKind(
    name="vocoder", network=Vocoder, config=VocoderConfig, debug=DEBUG_VOCODER
)
MUSIC_LM_KIND = NetworkKind(
    name="music_lm", network=MusicLM, config=MusicLMConfig, debug=DEBUG_MUSIC_LM
)
LISTENER_KIND = NetworkKind(
    name="listener", network=Listener, config=ListenerConfig, debug=DEBUG_LISTENER
)
_KINDS = (TOKENIZER_KIND, RESIDUAL_KIND, VOCODER_KIND, MUSIC_LM_KIND, LISTENER_KIND)


def tokenizer_network(config: MelImageConfig) -> MelTokenizer:
    """Build the tokenizer network that a config describes, with random weights."""
    for kind in (TOKENIZER_KIND, RESIDUAL_KIND):
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


def kind_of(network: nn.Module) -> NetworkKind:
    """Return the kind that a network is of."""
    return next(kind for kind in _KINDS if isinstance(network, kind.network))
