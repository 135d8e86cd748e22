"""The tokenizer network: ln-mel image to a grid of codes and back.

    mel [batch, n_mels, mel_frames] -> codes [batch, bands, frames] -> mel

Knows nothing of waveforms, files or windows.
"""

from __future__ import annotations

from bandtok.tokenizer.config import TokenizerConfig
from bandtok.tokenizer.decoder import MelDecoder
from bandtok.tokenizer.encoder import MelEncoder
from bandtok.tokenizer.mel_tokenizer import MelTokenizer
from bandtok.tokenizer.quantizer import Quantizer


class TokenizerNetwork(MelTokenizer):
    """Encoder, one shared codebook, decoder: a latent and a code for each cell of the image grid.

    Source: the BandTok paper for the grid of band tokens from one codebook with EMA updates; the
    networks are ours (the paper leaves them open).
    """

    config: TokenizerConfig
    quantizer: Quantizer

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__(
            config,
            encoder=MelEncoder(config, config.code_dim),
            quantizer=Quantizer(config.codebook_size, config.code_dim),
            decoder=MelDecoder(config, config.code_dim),
        )
