"""The graphs of the reranker's two halves and of the text encoder."""

from __future__ import annotations

import numpy as np

from bandtok.export.graph import Graph
from bandtok.export.lm_graphs import Shapes, dense, text_pooling
from bandtok.lm.bert_config import BertConfig
from bandtok.lm.reranker_config import RerankerConfig

_GROUP_NORM_EPSILON = 1e-5
_VARIANCE_FLOOR = 1e-6
_SMALLEST_NORM = 1e-12


def codes_graph(config: RerankerConfig, shapes: Shapes) -> Graph:
    """Build codes int64 [batch, bands, frames] -> unit vectors float32 [batch, match_dim]."""
    graph = Graph("codes", shapes)
    codes = graph.input("codes", np.int64, ["batch", config.num_bands, "frames"])
    vectors = graph.op("Gather", graph.weight("code_vectors.weight"), codes)
    x = _convolution(graph, graph.transpose(vectors, 0, 3, 1, 2), "inner", pads=[1, 1, 1, 1])
    x = graph.op("Add", x, graph.weight("band_bias"))
    for index in range(config.num_bands.bit_length() - 1):
        x = _group_norm(graph, graph.op("Gelu", x), f"halving.{index}.1", axes=2)
        x = _convolution(graph, x, f"halving.{index}.2", pads=[1, 1, 1, 1], strides=[2, 1])
    x = graph.op("Squeeze", x, graph.constant([2], np.int64))
    for index, dilation in enumerate(config.dilations):
        y = _group_norm(graph, x, f"rhythm.{index}.0", axes=1)
        pads = [dilation, dilation]
        y = _convolution(graph, y, f"rhythm.{index}.1", pads=pads, dilations=[dilation])
        y = _convolution(graph, graph.op("Gelu", y), f"rhythm.{index}.3")
        x = graph.op("Add", x, y)
    time = graph.constant([2], np.int64)
    mean = graph.op("ReduceMean", x, time, keepdims=1)
    centered = graph.op("Sub", x, mean)
    variance = graph.op("ReduceMean", graph.op("Mul", centered, centered), time, keepdims=0)
    floor = graph.constant(_VARIANCE_FLOOR, np.float32)
    deviation = graph.op("Sqrt", graph.op("Add", variance, floor))
    largest = graph.op("ReduceMax", x, time, keepdims=0)
    pooled = graph.op("Concat", graph.op("Squeeze", mean, time), deviation, largest, axis=1)
    vector = _unit(graph, dense(graph, pooled, "output"))
    graph.output("music", vector, np.float32, ["batch", config.match_dim])
    return graph


def match_text_graph(config: RerankerConfig, shapes: Shapes) -> Graph:
    """Build states and mask of texts -> unit vectors float32 [rows, match_dim]."""
    graph = Graph("text", shapes)
    pooled = text_pooling(graph, config.text_dim, "text_pooling.")
    inner = graph.op("Gelu", dense(graph, pooled, "read.0"))
    vector = _unit(graph, dense(graph, inner, "read.2"))
    graph.output("text", vector, np.float32, ["rows", config.match_dim])
    return graph


def bert_graph(config: BertConfig, shapes: Shapes) -> Graph:
    """Build ids int64, mask bool [batch, length], positions int64 [length] -> hidden states.

    These are float32 [batch, length, hidden_size].
    """
    graph = Graph("text", shapes)
    ids = graph.input("ids", np.int64, ["batch", "length"])
    mask = graph.input("mask", np.bool_, ["batch", "length"])
    positions = graph.input("positions", np.int64, ["length"])
    x = graph.op("Gather", graph.weight("embeddings.word_embeddings.weight"), ids)
    kinds = graph.weight("embeddings.token_type_embeddings.weight")
    x = graph.op("Add", x, graph.op("Gather", kinds, graph.constant(0, np.int64)))
    places = graph.weight("embeddings.position_embeddings.weight")
    x = graph.op("Add", x, graph.op("Gather", places, positions))
    x = _layer_norm(graph, x, "embeddings.LayerNorm", config)
    unseen = graph.op("Unsqueeze", mask, graph.constant([1, 2], np.int64))
    zero, lowest = (graph.constant(value, np.float32) for value in (0, np.finfo(np.float32).min))
    unseen = graph.op("Where", unseen, zero, lowest)
    for layer in range(config.num_hidden_layers):
        name = f"encoder.layer.{layer}"
        mixed = _self_attention(graph, x, unseen, name, config)
        x = _residual(graph, x, mixed, f"{name}.attention.output", config)
        inner = graph.op("Gelu", dense(graph, x, f"{name}.intermediate.dense"))
        x = _residual(graph, x, inner, f"{name}.output", config)
    graph.output("states", x, np.float32, ["batch", "length", config.hidden_size])
    return graph


def _self_attention(graph: Graph, x: str, unseen: str, name: str, config: BertConfig) -> str:
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    query, key, value = (
        graph.reshape(dense(graph, x, f"{name}.attention.self.{part}"), 0, 0, heads, size)
        for part in ("query", "key", "value")
    )
    query, value = graph.transpose(query, 0, 2, 1, 3), graph.transpose(value, 0, 2, 1, 3)
    scores = graph.op("MatMul", query, graph.transpose(key, 0, 2, 3, 1))
    scores = graph.op("Mul", scores, graph.constant(size**-0.5, np.float32))
    shares = graph.op("Softmax", graph.op("Add", scores, unseen), axis=3)
    mixed = graph.transpose(graph.op("MatMul", shares, value), 0, 2, 1, 3)
    return graph.reshape(mixed, 0, 0, heads * size)


def _residual(graph: Graph, x: str, update: str, name: str, config: BertConfig) -> str:
    update = dense(graph, update, f"{name}.dense")
    return _layer_norm(graph, graph.op("Add", update, x), f"{name}.LayerNorm", config)


def _layer_norm(graph: Graph, x: str, name: str, config: BertConfig) -> str:
    scale, shift = graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias")
    return graph.op("LayerNormalization", x, scale, shift, epsilon=config.layer_norm_eps)


def _convolution(graph: Graph, x: str, name: str, **attributes: list[int]) -> str:
    return graph.op(
        "Conv", x, graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias"), **attributes
    )


def _group_norm(graph: Graph, x: str, name: str, axes: int) -> str:
    """Normalize over channels and positions together, then scale and shift each channel.

    Args:
        graph: to add to.
        x: [batch, channels, ...].
        name: of scale and shift.
        axes: of positions.
    """
    one, zero = graph.constant([1], np.float32), graph.constant([0], np.float32)
    flat = graph.reshape(x, 0, 1, -1)
    flat = graph.op("InstanceNormalization", flat, one, zero, epsilon=_GROUP_NORM_EPSILON)
    x = graph.op("Reshape", flat, graph.op("Shape", x))
    scale, shift = (
        graph.reshape(graph.weight(f"{name}.{part}"), -1, *[1] * axes)
        for part in ("weight", "bias")
    )
    return graph.op("Add", graph.op("Mul", x, scale), shift)


def _unit(graph: Graph, x: str) -> str:
    norm = graph.op("ReduceL2", x, graph.constant([1], np.int64), keepdims=1)
    return graph.op("Div", x, graph.op("Max", norm, graph.constant(_SMALLEST_NORM, np.float32)))
