"""The language model, its reranker and the text encoder in torch, as functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bandtok.lm.attention import RotaryTable
from bandtok.lm.bert import Bert
from bandtok.lm.model import MusicLM
from bandtok.lm.networks import TokenInputs
from bandtok.lm.reranker import Reranker
from bandtok.lm.text_embeddings import TextEmbeddings


class TorchLanguageModel:
    """A `bandtok.lm.networks.LanguageModel`.

    Args:
        network: the model, on its device; put into evaluation mode.
    """

    def __init__(self, network: MusicLM) -> None:
        self.network, self.config = network.eval(), network.config
        self.num_parameters = sum(weight.numel() for weight in network.parameters())

    @property
    def device(self) -> torch.device:
        return self.network.code_embedding.weight.device

    @torch.inference_mode()
    def condition(self, text: TextEmbeddings | None, rows: int) -> np.ndarray:
        return _array(self.network.condition(text, rows))

    @torch.inference_mode()
    def tempo_scores(self, text: TextEmbeddings) -> np.ndarray:
        return _array(self.network.tempo_scores(text))

    @torch.inference_mode()
    def embed_beat(self, features: np.ndarray) -> np.ndarray:
        assert self.network.beat_embedding is not None
        return _array(self.network.beat_embedding(features))

    def decoder(self, condition: np.ndarray) -> _TorchDecoder:
        return _TorchDecoder(self.network, condition)


class _TorchDecoder:
    """A `TokenDecoder` with a preallocated cache."""

    def __init__(self, network: MusicLM, condition: np.ndarray) -> None:
        self._network, self._device = network, network.code_embedding.weight.device
        self._condition = torch.from_numpy(condition).to(self._device)
        self._cache = network.make_cache(len(condition))
        with torch.inference_mode():
            self._code_matrix, self._head = network.code_matrix(), network.head()

    def truncate(self, length: int) -> None:
        self._cache.truncate(length)

    @torch.inference_mode()
    def rows(self, indices: Sequence[int]) -> _TorchDecoder:
        chosen, cache = list(indices), self._cache
        decoder = _TorchDecoder(self._network, self._condition[chosen].cpu().numpy())
        decoder._cache.keys.copy_(cache.keys[:, chosen])
        decoder._cache.values.copy_(cache.values[:, chosen])
        decoder._cache.length = cache.length
        return decoder

    @torch.inference_mode()
    def extend(self, inputs: TokenInputs) -> np.ndarray:
        network = self._network
        previous, neighbors, bands = (
            torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
            for array in (inputs.previous, inputs.neighbors, inputs.bands)
        )
        x = network.embed_entries(previous, neighbors, bands, self._code_matrix)
        if inputs.beat is not None:
            x = x + torch.from_numpy(inputs.beat).to(self._device)
        config = network.config
        queries, keys = (
            RotaryTable.of_waves(cos[None], sin[None], heads, self._device)
            for cos, sin, heads in zip(
                inputs.cos, inputs.sin, (config.num_heads, config.num_kv_heads), strict=True
            )
        )
        rotary = queries.followed_by(keys)
        hidden = network.transformer(x, self._condition, rotary, self._cache)[:, -1]
        head = self._head if self._head.ndim == 2 else self._head[int(inputs.bands[-1])]
        return _array(functional.linear(hidden, head))


class TorchReranker:
    """A `bandtok.lm.networks.RerankerNetwork`.

    Args:
        network: the reranker, on its device; put into evaluation mode.
    """

    def __init__(self, network: Reranker) -> None:
        self.network, self.config = network.eval(), network.config

    @torch.inference_mode()
    def scores(self, codes: np.ndarray, text: TextEmbeddings) -> np.ndarray:
        device = self.network.code_vectors.weight.device
        return _array(self.network(torch.from_numpy(codes).to(device), text))


class TorchBert:
    """A `bandtok.lm.text_encoder.BertNetwork`.

    Args:
        network: the encoder; put into evaluation mode.
        device: where it is moved.
    """

    def __init__(self, network: Bert, device: torch.device | str = "cpu") -> None:
        self._network = network.eval().requires_grad_(False).to(device)
        self._device = device

    @torch.inference_mode()
    def __call__(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        attended = None if mask.all() else torch.from_numpy(mask).to(self._device)
        return _array(self._network(torch.from_numpy(ids).to(self._device), attended))


def _array(values: Tensor) -> np.ndarray:
    found: np.ndarray = values.float().cpu().numpy()
    return found
