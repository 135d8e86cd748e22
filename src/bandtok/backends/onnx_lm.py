"""The language model in onnxruntime, and its small conditioning networks.

A step is one call of a session whose inputs are bound to numpy arrays: the caller writes positions
into them, and afterwards adds the keys and values that come back to the cache, which is bound too.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from bandtok.backends.graphs import (
    BEAT_GRAPH,
    CONDITION_GRAPH,
    STEP_GRAPH,
    TEMPO_GRAPH,
)
from bandtok.backends.onnx_session import default_threads, open_session, run_on_text
from bandtok.checkpoint import read_config, read_weights
from bandtok.errors import CheckpointError, ConfigError
from bandtok.lm.config import NEIGHBORS, MusicLMConfig
from bandtok.lm.networks import TokenInputs
from bandtok.lm.step_weights import step_weights
from bandtok.lm.text_embeddings import TextEmbeddings
from bandtok.model_specs import LM_SPEC

_PREFILL_LENGTH = 128
_FIRST_CAPACITY, _CAPACITY_STEP = 128, 256
_UNSEEN = -1e30


class OnnxLanguageModel:
    """A `bandtok.lm.networks.LanguageModel`.

    Args:
        folder: with config, weights and graphs.
        threads: that share the rows of a step; None for `default_threads()`.

    Raises:
        CheckpointError: if these are damaged or do not belong together.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        _, config = read_config(LM_SPEC, folder)
        assert isinstance(config, MusicLMConfig)
        self.config, self._folder = config, folder
        self._threads = threads or default_threads()
        self._small = read_weights(folder, "condition.", "tempo.", "beat_embedding.")
        given = read_weights(folder)
        self.num_parameters = sum(array.size for array in given.values())
        try:
            weights = step_weights(given, config)
        except KeyError as error:
            raise CheckpointError(f"{folder} misses tensor {error} of a language model") from None
        # Rows are shared out over threads, so an operator has one.
        self._step = open_session(folder / STEP_GRAPH, weights, config.to_dict(), threads=1)

    def condition(self, text: TextEmbeddings | None, rows: int) -> np.ndarray:
        if text is None:
            text = TextEmbeddings(
                states=np.zeros((rows, 1, self.config.text_dim), np.float32),
                mask=np.zeros((rows, 1), np.bool_),
            )
        if len(text) != rows:
            raise ConfigError(f"got {len(text)} rows of text; expected {rows}")
        return run_on_text(self._condition, text, self.config.text_dim)

    def tempo_scores(self, text: TextEmbeddings) -> np.ndarray:
        return run_on_text(self._tempo, text, self.config.text_dim)

    def embed_beat(self, features: np.ndarray) -> np.ndarray:
        embedded: np.ndarray = self._beat.run(None, {"features": features})[0]
        return embedded

    def decoder(self, condition: np.ndarray) -> _OnnxDecoder:
        return _OnnxDecoder(self._step, self.config, condition, self._threads)

    @cached_property
    def _condition(self) -> onnxruntime.InferenceSession:
        return self._open(CONDITION_GRAPH, "condition.")

    @cached_property
    def _tempo(self) -> onnxruntime.InferenceSession:
        return self._open(TEMPO_GRAPH, "tempo.")

    @cached_property
    def _beat(self) -> onnxruntime.InferenceSession:
        return self._open(BEAT_GRAPH, "beat_embedding.")

    def _open(self, graph: str, prefix: str) -> onnxruntime.InferenceSession:
        weights = {key: array for key, array in self._small.items() if key.startswith(prefix)}
        return open_session(self._folder / graph, weights, self.config.to_dict(), threads=1)


class _OnnxDecoder:
    """A `TokenDecoder` whose rows are shared out over threads."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        config: MusicLMConfig,
        condition: np.ndarray,
        threads: int,
    ) -> None:
        self._session, self._config = session, config
        self._condition, self._threads = condition, threads
        conditions = np.array_split(condition, min(threads, len(condition)))
        self._parts = [_DecoderRows(session, config, part) for part in conditions]
        bounds = np.cumsum([0, *(len(part) for part in conditions)]).tolist()
        self._rows = [slice(*pair) for pair in pairwise(bounds)]
        self._logits = np.empty((len(condition), config.codebook_size), np.float32)
        self._helpers = [_Helper() for _ in conditions[1:]]

    def truncate(self, length: int) -> None:
        for part in self._parts:
            part.length = length

    def rows(self, indices: Sequence[int]) -> _OnnxDecoder:
        condition = self._condition[list(indices)]
        decoder = _OnnxDecoder(self._session, self._config, condition, self._threads)
        held = [cached for part in self._parts for cached in part.cached_rows()]
        for part, rows in zip(decoder._parts, decoder._rows, strict=True):
            part.restore([held[index] for index in indices[rows]])
        return decoder

    def extend(self, inputs: TokenInputs) -> np.ndarray:
        for helper, index in zip(self._helpers, range(1, len(self._parts)), strict=True):
            helper.start(lambda index=index: self._extend_part(index, inputs))  # type: ignore[misc]
        self._extend_part(0, inputs)
        for helper in self._helpers:
            helper.join()
        return self._logits

    def _extend_part(self, index: int, inputs: TokenInputs) -> None:
        part, rows = self._parts[index], self._rows[index]
        length = inputs.previous.shape[1]
        for first in range(0, length, _PREFILL_LENGTH):
            part.extend(inputs, rows, slice(first, min(first + _PREFILL_LENGTH, length)))
        self._logits[rows] = part.logits


class _Helper:
    """A thread that runs one function at a time, and ends with the object."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        threading.Thread(
            target=_work_off, args=(self._work, self._done), name="bandtok-rows", daemon=True
        ).start()

    def __del__(self) -> None:
        self._work.put(None)

    def start(self, function: Callable[[], None]) -> None:
        self._work.put(function)

    def join(self) -> None:
        """Wait for the function; raises what it raised."""
        error = self._done.get()
        if error is not None:
            raise error


def _work_off(
    work: queue.SimpleQueue[Callable[[], None] | None],
    done: queue.SimpleQueue[BaseException | None],
) -> None:
    while (function := work.get()) is not None:
        try:
            function()
        except BaseException as error:
            done.put(error)
        else:
            done.put(None)
        function = None


class _DecoderRows:
    """Some rows of a decoder: their cache, and the arrays that are bound to the session."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        config: MusicLMConfig,
        condition: np.ndarray,
    ) -> None:
        self._session, self._config = session, config
        self._condition = np.ascontiguousarray(condition.swapaxes(0, 1)[:, :, None])
        self._num_rows = len(condition)
        self.length = self._capacity = 0
        self._keys: np.ndarray = np.zeros(0, np.int8)
        self._values: np.ndarray = np.zeros(0, np.int8)
        self.logits = np.empty((len(condition), config.codebook_size), np.float32)
        self._bound: tuple[int, bool] = (0, False)

    def extend(self, inputs: TokenInputs, rows: slice, now: slice) -> None:
        """Read positions `now` of the inputs."""
        length = now.stop - now.start
        if self.length + length > self._capacity:
            self._grow(self.length + length)
        if (length, inputs.beat is not None) != self._bound:
            self._bind(length, inputs.beat is not None)
        arrays = self._arrays
        arrays["previous"][:] = inputs.previous[rows, now]
        arrays["neighbors"][:] = inputs.neighbors[rows, now]
        arrays["bands"][:] = inputs.bands[now]
        if inputs.beat is not None:
            arrays["beat"][:] = inputs.beat[rows, now]
        arrays["query_cos"][:], arrays["key_cos"][:] = inputs.cos[:, now]
        arrays["query_sin"][:], arrays["key_sin"][:] = inputs.sin[:, now]
        arrays["past_mask"][: self.length] = 0
        arrays["past_mask"][self.length :] = _UNSEEN
        self._session.run_with_iobinding(self._binding)
        end = self.length + length
        self._keys[..., self.length : end] = self._new_keys.swapaxes(-1, -2)
        self._values[..., self.length : end, :] = self._new_values
        self.length = end

    def cached_rows(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return keys int8 [num_layers, num_kv_heads, head_dim, length] and values int8 [...,
        length, head_dim] of each row.
        """
        keys, values = self._keys[..., : self.length], self._values[..., : self.length, :]
        return [(keys[:, row], values[:, row]) for row in range(self._num_rows)]

    def restore(self, rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        """Fill an empty cache with what `cached_rows` returned of as many rows."""
        length = rows[0][0].shape[-1]
        self._grow(length)
        for row, (keys, values) in enumerate(rows):
            self._keys[:, row, ..., :length] = keys
            self._values[:, row, ..., :length, :] = values
        self.length = length

    def _grow(self, length: int) -> None:
        """Make room in the cache; what it holds stays."""
        config, kept = self._config, self.length
        capacity = _FIRST_CAPACITY
        if length > capacity:
            capacity = -(-length // _CAPACITY_STEP) * _CAPACITY_STEP
        shape = (config.num_layers, self._num_rows, config.num_kv_heads)
        keys = np.zeros((*shape, config.head_dim, capacity), np.int8)
        values = np.zeros((*shape, capacity, config.head_dim), np.int8)
        if kept:
            keys[..., :kept] = self._keys[..., :kept]
            values[..., :kept, :] = self._values[..., :kept, :]
        self._keys, self._values, self._capacity = keys, values, capacity
        self._bound = (0, False)

    def _bind(self, length: int, with_beat: bool) -> None:
        """Make arrays for so many positions at a time and bind them."""
        config, rows = self._config, self._num_rows
        group = config.num_heads // config.num_kv_heads
        beat = (rows, length) if with_beat else (1, 1)
        causal = np.triu(np.full((length, length), _UNSEEN, np.float32), 1)
        half = config.head_dim // 2
        self._arrays: dict[str, Any] = {
            "previous": np.zeros((rows, length), np.int64),
            "neighbors": np.zeros((rows, length, len(NEIGHBORS)), np.int64),
            "bands": np.zeros(length, np.int64),
            "beat": np.zeros((*beat, config.model_dim), np.float32),
            "query_cos": np.zeros((length, half), np.float32),
            "query_sin": np.zeros((length, half), np.float32),
            "key_cos": np.zeros((length, half), np.float32),
            "key_sin": np.zeros((length, half), np.float32),
            "past_mask": np.zeros(self._capacity, np.float32),
            "new_mask": np.tile(causal, (group, 1)),
            "lengths": np.array([self._capacity, length]),
        }
        shape = (config.num_layers, rows, config.num_kv_heads, length, config.head_dim)
        self._new_keys, self._new_values = np.zeros(shape, np.int8), np.zeros(shape, np.int8)
        binding = self._session.io_binding()
        layers = range(config.num_layers)
        inputs = self._arrays | {
            f"{name}{layer}": cache[layer]
            for name, cache in (("keys", self._keys), ("values", self._values))
            for layer in layers
        }
        inputs |= {f"condition{part}": array for part, array in enumerate(self._condition)}
        outputs = {"logits": self.logits} | {
            f"{name}{layer}": new[layer]
            for name, new in (("new_keys", self._new_keys), ("new_values", self._new_values))
            for layer in layers
        }
        wrap = onnxruntime.OrtValue.ortvalue_from_numpy  # shares the array's memory
        for name, array in inputs.items():
            binding.bind_ortvalue_input(name, wrap(array))
        for name, array in outputs.items():
            binding.bind_ortvalue_output(name, wrap(array))
        self._binding, self._bound = binding, (length, with_beat)
