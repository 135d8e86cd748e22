"""The reranker and the text encoder in onnxruntime."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime

from bandtok.backends.graphs import CODES_GRAPH, TEXT_GRAPH
from bandtok.backends.onnx_session import open_session, run_on_text
from bandtok.checkpoint import read_config, read_weights
from bandtok.errors import GridError
from bandtok.lm.bert_config import BertConfig
from bandtok.lm.reranker_config import RerankerConfig
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.model_specs import RERANKER_SPEC


class OnnxReranker:
    """A `bandtok.lm.networks.RerankerNetwork`.

    Args:
        folder: with config, weights and graphs.
        threads: see `open_session`.

    Raises:
        CheckpointError: if these are damaged or do not belong together.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        _, config = read_config(RERANKER_SPEC, folder)
        assert isinstance(config, RerankerConfig)
        self.config, self._folder, self._threads = config, folder, threads

    @cached_property
    def _codes(self) -> onnxruntime.InferenceSession:
        prefixes = ("code_vectors.", "band_bias", "inner.", "halving.", "rhythm.", "output.")
        return self._open(CODES_GRAPH, prefixes)

    @cached_property
    def _text(self) -> onnxruntime.InferenceSession:
        return self._open(TEXT_GRAPH, ("text_pooling.", "read."))

    def _open(self, graph: str, prefixes: tuple[str, ...]) -> onnxruntime.InferenceSession:
        weights = read_weights(self._folder, *prefixes)
        return open_session(self._folder / graph, weights, self.config.to_dict(), self._threads)

    def scores(self, codes: np.ndarray, text: TextEmbeddings) -> np.ndarray:
        bands = self.config.num_bands
        if codes.ndim != 3 or codes.shape[1] != bands or not codes.shape[2]:
            raise GridError(f"got codes {codes.shape}; expected [batch, {bands}, frames]")
        music = self._codes.run(None, {"codes": codes})[0]
        cosines: np.ndarray = (music * run_on_text(self._text, text, self.config.text_dim)).sum(1)
        return cosines


class OnnxBert:
    """A `bandtok.lm.text_encoder.BertNetwork`.

    Args:
        folder: with the graph.
        config, weights: as `bandtok.lm.text_encoder.read_text_encoder` returned them.
        threads: see `open_session`.

    Raises:
        CheckpointError: if these are damaged or do not belong together.
    """

    def __init__(
        self,
        folder: Path,
        config: BertConfig,
        weights: dict[str, np.ndarray],
        threads: int | None = None,
    ) -> None:
        self._session = open_session(folder / TEXT_GRAPH, weights, asdict(config), threads)

    def __call__(self, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        feeds = {"ids": ids, "mask": mask, "positions": np.arange(ids.shape[1])}
        states: np.ndarray = self._session.run(None, feeds)[0]
        return states
