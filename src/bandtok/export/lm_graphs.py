"""The graphs of the language model: its step, and the networks that condition it.

The step serves both the codes that are known when a window starts (many positions, nothing cached)
and each later position. It attends over a cache that is an input and returns only the keys and
values of its own positions, which the caller adds to the cache, so nothing is copied. Products with
weights take int8 (`MatMulNBits`, a scale for 128 inputs each), attention to the cache takes int8
queries, keys, shares and values, everything else is float32.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from bandtok.errors import ConfigError
from bandtok.export.graph import MICROSOFT, Graph
from bandtok.lm.beat import BEAT_FEATURES, TEMPO_BINS
from bandtok.lm.config import NEIGHBORS, MusicLMConfig
from bandtok.lm.step_weights import step_weights

_NORM_EPSILON = 1e-5
Shapes = Mapping[str, tuple[int, ...]]


def step_graph(config: MusicLMConfig, shapes: Shapes) -> Graph:
    """Build the step: positions and cache -> logits of the last position, new keys and values.

    Args:
        config: the model's shape.
        shapes: of the model's weights; the graph takes what `step_weights` makes of them.

    Raises:
        ConfigError: if rows have codes of their own: the head would change from step to step.
    """
    if not config.rows_share_codes:
        raise ConfigError(
            "got a language model whose rows have codes of their own; only one with shared codes "
            "can be exported, use it with --backend torch"
        )
    weights = step_weights(
        {key: np.zeros(size, np.float32) for key, size in shapes.items()}, config
    )
    graph = Graph("step", {name: array.shape for name, array in weights.items()})
    _declare_step_inputs(graph, config)
    x = _embedding(graph, config)
    parts = [f"condition{part}" for part in range(2 * config.num_norms)]
    for layer in range(config.num_layers):
        scales = parts[4 * layer : 4 * layer + 4]
        mixed = _attention(graph, config, _norm(graph, x, *scales[:2]), layer)
        x = graph.op("Add", x, _linear(graph, mixed, f"layer{layer}.out"))
        hidden = _linear(graph, _norm(graph, x, *scales[2:]), f"layer{layer}.up")
        hidden = graph.op("Relu", hidden)
        squared = graph.op("Mul", hidden, hidden)
        x = graph.op("Add", x, _linear(graph, squared, f"layer{layer}.down"))
    last = graph.op("Gather", x, graph.constant(-1, np.int64), axis=1)
    axis = graph.constant([1], np.int64)
    last = _norm(graph, last, *(graph.op("Squeeze", part, axis) for part in parts[-2:]))
    logits = _linear(graph, last, "head")
    graph.output("logits", logits, np.float32, ["rows", config.codebook_size])
    return graph


def _declare_step_inputs(graph: Graph, config: MusicLMConfig) -> None:
    dim, half = config.model_dim, config.head_dim // 2
    graph.input("previous", np.int64, ["rows", "length"])
    graph.input("neighbors", np.int64, ["rows", "length", len(NEIGHBORS)])
    graph.input("bands", np.int64, ["length"])
    graph.input("beat", np.float32, ["beat_rows", "beat_length", dim])
    for part in range(2 * config.num_norms):
        graph.input(f"condition{part}", np.float32, ["rows", 1, dim])
    for wave in ("query_cos", "query_sin", "key_cos", "key_sin"):
        graph.input(wave, np.float32, ["length", half])
    graph.input("past_mask", np.float32, ["cached"])
    graph.input("new_mask", np.float32, ["grouped", "length"])
    graph.input("lengths", np.int64, [2])
    for layer in range(config.num_layers):
        cached: list[int | str] = ["rows", config.num_kv_heads, config.head_dim, "cached"]
        graph.input(f"keys{layer}", np.int8, cached)
        cached = ["rows", config.num_kv_heads, "cached", config.head_dim]
        graph.input(f"values{layer}", np.int8, cached)


def _embedding(graph: Graph, config: MusicLMConfig) -> str:
    """Return float32 [rows, length, model_dim], normalized."""
    vectors = graph.op("Gather", graph.weight("code_vectors"), "neighbors")
    vectors = graph.reshape(vectors, 0, 0, len(NEIGHBORS) * config.code_dim)
    x = graph.op("Gather", graph.weight("code_matrix"), "previous")
    x = graph.op("Add", x, graph.op("MatMul", vectors, graph.weight("neighbor_projection")))
    x = graph.op("Add", x, graph.op("Gather", graph.weight("band_embedding"), "bands"))
    x = graph.op("Add", x, "beat")
    return _norm(graph, x, graph.weight("input_norm"))


def _attention(graph: Graph, config: MusicLMConfig, x: str, layer: int) -> str:
    """Attend over the cache and the new positions: [rows, length, model_dim] -> the same shape."""
    heads, groups, size = config.num_heads, config.num_kv_heads, config.head_dim
    name, zero = f"layer{layer}", graph.constant([0], np.int64)
    x = graph.reshape(_linear(graph, x, f"{name}.qkv"), 0, 0, heads + 2 * groups, size)
    queries, keys, values = _split(graph, graph.transpose(x, 0, 2, 1, 3), heads, groups, groups)
    queries, keys = (
        graph.op(
            "RotaryEmbedding",
            _norm(graph, part, graph.weight(gain)),
            zero,
            f"{which}_cos",
            f"{which}_sin",
            domain=MICROSOFT,
        )
        for part, which, gain in (
            (queries, "query", f"{name}.query_gain"),
            (keys, "key", f"{name}.key_gain"),
        )
    )
    queries = graph.reshape(queries, 0, groups, -1, size)
    _output_cache_entries(graph, config, layer, keys, values)

    middle, one = graph.constant(128, np.uint8), graph.constant(1, np.float32)
    past_scores = graph.op(
        "MatMulIntegerToFloat",
        graph.op("QuantizeLinear", queries, graph.weight(f"{name}.scale"), middle),
        f"keys{layer}",
        graph.weight(f"{name}.score_scale"),
        one,
        middle,
        "",
        "past_mask",
        domain=MICROSOFT,
    )
    new_scores = graph.op(
        "FusedMatMul", queries, keys, domain=MICROSOFT, transB=1, alpha=size**-0.5
    )
    new_scores = graph.op("Add", new_scores, "new_mask")
    shares = graph.op("Softmax", graph.op("Concat", past_scores, new_scores, axis=3), axis=3)
    # Shares of a query are quantized relative to the largest of them.
    largest = graph.op("ReduceMax", shares, graph.constant([3], np.int64), keepdims=1)
    past, new = graph.ops("Split", graph.op("Div", shares, largest), "lengths", outputs=2, axis=3)
    share_scale = graph.constant(1 / 255, np.float32)
    mixed = graph.op(
        "MatMulIntegerToFloat",
        graph.op("QuantizeLinear", past, share_scale, graph.constant(0, np.uint8)),
        f"values{layer}",
        share_scale,
        graph.weight(f"{name}.value_scale"),
        domain=MICROSOFT,
    )
    mixed = graph.op("Mul", graph.op("Add", mixed, graph.op("MatMul", new, values)), largest)
    mixed = graph.transpose(graph.reshape(mixed, 0, heads, -1, size), 0, 2, 1, 3)
    return graph.reshape(mixed, 0, 0, heads * size)


def _output_cache_entries(
    graph: Graph, config: MusicLMConfig, layer: int, keys: str, values: str
) -> None:
    """Give out keys and values float32 [rows, num_kv_heads, length, head_dim] in int8."""
    shape: list[int | str] = ["rows", config.num_kv_heads, "length", config.head_dim]
    zero = graph.constant(0, np.int8)
    for kind, value, scale in (("keys", keys, "scale"), ("values", values, "value_scale")):
        quantized = graph.op("QuantizeLinear", value, graph.weight(f"layer{layer}.{scale}"), zero)
        graph.output(f"new_{kind}{layer}", quantized, np.int8, shape)


def _split(graph: Graph, x: str, *sizes: int, axis: int = 1) -> list[str]:
    lengths = graph.constant(sizes, np.int64)
    return graph.ops("Split", x, lengths, outputs=len(sizes), axis=axis)


def _norm(graph: Graph, x: str, *scale_and_shift: str) -> str:
    return graph.op("LayerNormalization", x, *scale_and_shift, epsilon=_NORM_EPSILON)


def _linear(graph: Graph, x: str, name: str) -> str:
    """Multiply by an int8 matrix."""
    outputs, blocks, size = graph.shapes[f"{name}.quantized"]
    return graph.op(
        "MatMulNBits",
        x,
        graph.weight(f"{name}.quantized", np.uint8),
        graph.weight(f"{name}.scales"),
        domain=MICROSOFT,
        K=blocks * size,
        N=outputs,
        bits=8,
        block_size=size,
        accuracy_level=4,
    )


def condition_graph(config: MusicLMConfig, shapes: Shapes) -> Graph:
    """Build states float32 [rows, length, text_dim], mask bool [rows, length] -> scales, shifts."""
    graph = Graph("condition", shapes)
    pooled = text_pooling(graph, config.text_dim, "condition.text_pooling.")
    inner = dense(graph, pooled, "condition.inner")
    given = graph.op("Cast", "mask", to=TensorProto.FLOAT)
    given = graph.op("ReduceMax", given, graph.constant([1], np.int64), keepdims=1)
    inner = graph.op(
        "Where", graph.op("Cast", given, to=TensorProto.BOOL), inner, graph.weight("condition.null")
    )
    outer = dense(graph, _silu(graph, inner), "condition.outer")
    outer = graph.reshape(outer, 0, -1, config.model_dim)
    shape: list[int | str] = ["rows", 2 * config.num_norms, config.model_dim]
    graph.output("condition", outer, np.float32, shape)
    return graph


def tempo_graph(config: MusicLMConfig, shapes: Shapes) -> Graph:
    """Build states and mask of texts -> logits of tempos float32 [rows, TEMPO_BINS + 1]."""
    graph = Graph("tempo", shapes)
    pooled = text_pooling(graph, config.text_dim, "tempo.text_pooling.")
    scores = dense(graph, _silu(graph, dense(graph, pooled, "tempo.inner")), "tempo.outer")
    graph.output("scores", scores, np.float32, ["rows", TEMPO_BINS + 1])
    return graph


def beat_graph(config: MusicLMConfig, shapes: Shapes) -> Graph:
    """Build features float32 [rows, frames, BEAT_FEATURES] -> [rows, frames, model_dim]."""
    graph = Graph("beat", shapes)
    features = graph.input("features", np.float32, ["rows", "frames", BEAT_FEATURES])
    inner = _silu(graph, dense(graph, features, "beat_embedding.inner"))
    outer = dense(graph, inner, "beat_embedding.outer", bias=False)
    _, known = _split(graph, features, BEAT_FEATURES - 1, 1, axis=2)
    embedded = graph.op("Mul", outer, known)
    graph.output("embedded", embedded, np.float32, ["rows", "frames", config.model_dim])
    return graph


def text_pooling(graph: Graph, dim: int, prefix: str) -> str:
    """Declare states and mask of texts; return them pooled, [rows, (1 + queries) * dim]."""
    graph.input("states", np.float32, ["rows", "length", dim])
    graph.input("mask", np.bool_, ["rows", "length"])
    states = _norm(
        graph, "states", graph.weight(f"{prefix}norm.weight"), graph.weight(f"{prefix}norm.bias")
    )
    first = graph.constant([0], np.int64)
    mean = graph.op("Gather", states, first, axis=1)
    if f"{prefix}queries" not in graph.shapes:
        return graph.reshape(mean, 0, -1)
    scores = graph.op("MatMul", graph.weight(f"{prefix}queries"), graph.transpose(states, 0, 2, 1))
    scores = graph.op("Mul", scores, graph.constant(dim**-0.5, np.float32))
    lowest = graph.constant(np.finfo(np.float32).min, np.float32)
    mask = graph.op("Unsqueeze", "mask", graph.constant([1], np.int64))
    shares = graph.op("Softmax", graph.op("Where", mask, scores, lowest), axis=2)
    pooled = graph.op("Concat", mean, graph.op("MatMul", shares, states), axis=1)
    return graph.reshape(pooled, 0, -1)


def dense(graph: Graph, x: str, name: str, bias: bool = True) -> str:
    """Apply a torch Linear layer with float32 weights."""
    x = graph.op("MatMul", x, graph.transpose(graph.weight(f"{name}.weight"), 1, 0))
    return graph.op("Add", x, graph.weight(f"{name}.bias")) if bias else x


def _silu(graph: Graph, x: str) -> str:
    return graph.op("Mul", x, graph.op("Sigmoid", x))
