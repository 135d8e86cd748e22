"""The reranker: how well codes match a text.

Codes [batch, bands, frames] and text states -> cosines in a space that both are mapped to. Trained
to match captions with music, it recognizes what a prompt describes far
better than the language model that wrote the codes, and so selects among that one's candidates.

Source: contrastive pairs as in CLIP (2103.00020) and CLAP (2206.04769), on codes in place of sound.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from bandtok.errors import ConfigError, GridError
from bandtok.lm.conditioning import AttentionPooling
from bandtok.lm.reranker_config import RerankerConfig
from bandtok.lm.text_embeddings import TextEmbeddings

_FIRST_TEMPERATURE = 0.1


class Reranker(nn.Module):
    """Two towers: codes through convolutions that halve the bands, texts through learned queries.

    Args:
        config: its shape.
    """

    config_class: ClassVar[type[RerankerConfig]] = RerankerConfig

    def __init__(self, config: RerankerConfig) -> None:
        super().__init__()
        self.config = config
        halvings = config.num_bands.bit_length() - 1
        widths = [
            config.model_dim * (step + 1) // (halvings + 1) // 8 * 8 or 8
            for step in range(halvings)
        ]
        widths.append(config.model_dim)
        self.code_vectors = nn.Embedding(config.codebook_size, config.code_dim)
        self.band_bias = nn.Parameter(torch.zeros(widths[0], config.num_bands, 1))
        self.inner = nn.Conv2d(config.code_dim, widths[0], 3, padding=1)
        self.halving = nn.ModuleList(
            nn.Sequential(
                nn.GELU(),
                nn.GroupNorm(1, before),
                nn.Conv2d(before, after, (4, 3), stride=(2, 1), padding=(1, 1)),
            )
            for before, after in pairwise(widths)
        )
        self.rhythm = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, config.model_dim),
                nn.Conv1d(
                    config.model_dim, config.model_dim, 3, padding=dilation, dilation=dilation
                ),
                nn.GELU(),
                nn.Conv1d(config.model_dim, config.model_dim, 1),
            )
            for dilation in config.dilations
        )
        self.output = nn.Linear(3 * config.model_dim, config.match_dim)
        self.text_pooling = AttentionPooling(config.text_dim, config.text_queries)
        self.read = nn.Sequential(
            nn.Linear(self.text_pooling.out_dim, 2 * config.match_dim),
            nn.GELU(),
            nn.Linear(2 * config.match_dim, config.match_dim),
        )
        self.log_scale = nn.Parameter(torch.tensor(-math.log(_FIRST_TEMPERATURE)))

    def forward(self, codes: Tensor, text: TextEmbeddings) -> Tensor:
        """Return the cosine of each piece with its own text, float [batch]."""
        return (self.encode_codes(codes) * self.encode_text(text)).sum(dim=1)

    def encode_codes(self, codes: Tensor) -> Tensor:
        """Map codes, int64 [batch, bands, frames], to unit vectors [batch, match_dim].

        Raises:
            GridError: if there is no frame or another number of bands.
        """
        if codes.ndim != 3 or codes.shape[1] != self.config.num_bands or not codes.shape[2]:
            raise GridError(
                f"got codes {tuple(codes.shape)}; expected [batch, {self.config.num_bands}, frames]"
            )
        x = self.inner(self.code_vectors(codes).permute(0, 3, 1, 2)) + self.band_bias
        for halve in self.halving:
            x = halve(x)
        x = x[:, :, 0]
        for block in self.rhythm:
            x = x + block(x)
        spread = (x.var(dim=2, correction=0) + 1e-6).sqrt()
        return functional.normalize(
            self.output(torch.cat((x.mean(2), spread, x.amax(2)), 1)), dim=1
        )

    def encode_text(self, text: TextEmbeddings) -> Tensor:
        """Map texts to unit vectors [batch, match_dim]; one without any state to any."""
        return functional.normalize(self.read(self.text_pooling(text)), dim=1)

    def scale(self) -> Tensor:
        """Return what cosines are multiplied by to make scores of a choice."""
        return self.log_scale.exp().clamp(max=100.0)

    @torch.no_grad()
    def start_from_codebook(self, codebook: Tensor) -> None:
        """Let the code vectors be the tokenizer's entries, float [codebook_size, code_dim].

        Raises:
            ConfigError: if the codebook has another shape.
        """
        if codebook.shape != self.code_vectors.weight.shape:
            raise ConfigError(
                f"got a codebook {tuple(codebook.shape)}; expected "
                f"{tuple(self.code_vectors.weight.shape)} (--set code_dim={codebook.shape[-1]})"
            )
        self.code_vectors.weight.copy_((codebook - codebook.mean(dim=0)) / codebook.std(dim=0))
