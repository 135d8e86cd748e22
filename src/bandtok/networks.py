"""The kinds of network there are, for loading and saving by name."""

from __future__ import annotations

from torch import nn

from bandtok.checkpoint import NetworkKind
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


def kind_of(network: nn.Module) -> NetworkKind:
    """Return the kind that a network is of."""
    return next(kind for kind in _KINDS if isinstance(network, kind.network))
