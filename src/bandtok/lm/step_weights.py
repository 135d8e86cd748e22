"""A language model's weights as its ONNX graph takes them: merged and in int8, made when it loads.

state dict float32 -> the graph's initializers
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bandtok.lm.config import MusicLMConfig

BLOCK_SIZE = 128
"""Inputs of a matrix that share a scale."""
_ZERO_POINT, _LARGEST = 128, 127
_LARGEST_NORMED = 8.0
"""In units of the largest gain; of normalized heads of 64 numbers none can be larger."""
_LARGEST_VALUE = 6.0
"""In units of the longest row of the matrix; in music of the test set none is above 3.3."""


def step_weights(weights: Mapping[str, np.ndarray], config: MusicLMConfig) -> dict[str, np.ndarray]:
    """Return the initializers of `bandtok.export.lm_graphs.step_graph`.

    Matrices become NAME.quantized uint8 [outputs, blocks, block size] and NAME.scales float32
    [outputs, blocks]. The embedding of a code is merged with the projection of its vector; a part
    of it is the head that scores the codes.
    """
    code_matrix = (
        weights["code_embedding.weight"]
        + weights["code_vectors.weight"] @ weights["code_projection.weight"].T
    )
    found = {
        "code_matrix": code_matrix,
        "code_vectors": weights["code_vectors.weight"],
        "neighbor_projection": np.ascontiguousarray(weights["neighbors.weight"].T),
        "band_embedding": weights["band_embedding.weight"],
        "input_norm": weights["transformer.input_norm.weight"],
        **_quantized("head", code_matrix[: config.num_entries]),
    }
    for layer in range(config.num_layers):
        block, name = f"transformer.blocks.{layer}.", f"layer{layer}"
        gain = weights[f"{block}attention.gain"]
        scale = np.abs(gain).max() * min(_LARGEST_NORMED, config.head_dim**0.5) / _LARGEST
        found[f"{name}.query_gain"] = gain[: config.num_heads]
        found[f"{name}.key_gain"] = gain[config.num_heads :]
        found[f"{name}.scale"] = np.array(scale, np.float32)
        found[f"{name}.score_scale"] = np.array(scale**2 / config.head_dim**0.5, np.float32)
        matrix = weights[f"{block}attention.qkv.weight"]
        values = matrix[-config.num_kv_heads * config.head_dim :]
        value_scale = np.linalg.norm(values, axis=1).max() * _LARGEST_VALUE / _LARGEST
        found[f"{name}.value_scale"] = np.array(value_scale or 1.0, np.float32)
        for part, key in _MATRICES.items():
            found |= _quantized(f"{name}.{part}", weights[f"{block}{key}.weight"])
    return found


_MATRICES = {"qkv": "attention.qkv", "out": "attention.out", "up": "mlp.up", "down": "mlp.down"}


def _quantized(name: str, matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Quantize a matrix [outputs, inputs] with a scale per output and block of inputs."""
    outputs, inputs = matrix.shape
    size = min(BLOCK_SIZE, 1 << (max(inputs, 16) - 1).bit_length())
    padded = np.zeros((outputs, -(-inputs // size) * size), np.float32)
    padded[:, :inputs] = matrix
    blocks = padded.reshape(outputs, -1, size)
    scales = np.abs(blocks).max(axis=2) / _LARGEST
    scales[scales == 0] = 1
    quantized = np.round(blocks / scales[..., None]) + _ZERO_POINT
    return {f"{name}.quantized": quantized.astype(np.uint8), f"{name}.scales": scales}
