"""A model small enough to run in milliseconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bandtok.lm.config import MusicLMConfig
from bandtok.lm.model import MusicLM
from bandtok.lm.text_embeddings import HashTextEncoder, TextEmbeddings


@pytest.fixture
def make_config() -> Callable[..., MusicLMConfig]:
    def make(**changes: object) -> MusicLMConfig:
        settings: dict[str, object] = {
            "num_bands": 3,
            "codebook_size": 11,
            "text_encoder": "hash:8",
            "text_dim": 8,
            "model_dim": 16,
            "num_layers": 2,
            "num_heads": 4,
            "num_kv_heads": 2,
            "mlp_dim": 32,
            "code_dim": 4,
            "condition_dim": 8,
            "window_frames": 4,
        }
        return MusicLMConfig.from_dict({**settings, **changes})

    return make


@pytest.fixture
def make_model(make_config: Callable[..., MusicLMConfig]) -> Callable[..., MusicLM]:
    def make(**changes: object) -> MusicLM:
        torch.manual_seed(0)
        model = MusicLM(make_config(**changes)).eval()
        with torch.no_grad():
            # Small initial weights hide differences; these make every part of the model matter.
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
        return model

    return make


@pytest.fixture
def model(make_model: Callable[..., MusicLM]) -> MusicLM:
    return make_model()


@pytest.fixture
def text() -> TextEmbeddings:
    return HashTextEncoder(8).encode(["a calm piano"])
