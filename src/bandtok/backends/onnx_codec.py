"""The codec's networks in onnxruntime."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime

from bandtok.backends.graphs import DECODER_GRAPH, ENCODER_GRAPH, VOCODER_GRAPH
from bandtok.backends.onnx_session import open_session
from bandtok.checkpoint import read_config, read_weights
from bandtok.model_specs import TOKENIZER_SPEC, VOCODER_SPEC
from bandtok.tokenizer.fingerprint import code_fingerprint
from bandtok.vocoder.synthesis import Synthesis


class OnnxCodec:
    """A tokenizer as a `CodecNetwork`; the decoder is loaded by its first use.

    Args:
        folder: with config, weights and graphs.
        threads: see `open_session`.

    Raises:
        CheckpointError: if these are damaged or do not belong together.
    """

    device = "cpu"

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        _, self.config = read_config(TOKENIZER_SPEC, folder)
        self._folder, self._threads = folder, threads
        weights = read_weights(folder, "encoder.", "quantizer.")
        self.fingerprint = code_fingerprint(self.config, weights)
        self._encoder = self._open(ENCODER_GRAPH, weights)

    @cached_property
    def _decoder(self) -> onnxruntime.InferenceSession:
        return self._open(DECODER_GRAPH, read_weights(self._folder, "decoder.", "quantizer."))

    def _open(self, graph: str, weights: dict[str, np.ndarray]) -> onnxruntime.InferenceSession:
        return open_session(self._folder / graph, weights, self.config.to_dict(), self._threads)

    def encode_mel(self, mel: np.ndarray) -> np.ndarray:
        codes: np.ndarray = self._encoder.run(None, {"mel": mel})[0]
        return codes

    def decode_codes(self, codes: np.ndarray, first_frame: int = 0) -> np.ndarray:
        feeds = {"codes": codes, "first_frame": np.array(first_frame)}
        mel: np.ndarray = self._decoder.run(None, feeds)[0]
        return mel


class OnnxVocoder:
    """A vocoder as a `VocoderNetwork`; arguments and errors as for `OnnxCodec`."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        _, self.config = read_config(VOCODER_SPEC, folder)
        self.reach = self.config.reach
        weights = read_weights(folder)
        self._session = open_session(
            folder / VOCODER_GRAPH, weights, self.config.to_dict(), threads
        )
        self._synthesis = Synthesis(self.config)

    def decode_mel(self, mel: np.ndarray) -> np.ndarray:
        spectrum, target = self._session.run(None, {"mel": mel})
        return self._synthesis(spectrum, target)
