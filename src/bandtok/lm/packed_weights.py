"""Matrices as 10-bit integers with one scale per row, for weights that must be small on disk.

    float32 [rows, columns] -> high bits int8 [rows, columns], low bits uint8 [rows, columns / 4],
                               scale float16 [rows]

A value is (4 * high + low) * scale, with low from 0 to 3: four low parts share a byte.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bandtok.errors import CheckpointError

_LIMIT = 511  # of the signed 10-bit integers
_LOW_VALUES = 4
_SHIFTS = np.array([0, 2, 4, 6], np.uint8)
_PARTS = (".high", ".low", ".scale")


def pack_matrix(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Quantize a finite float matrix [rows, columns], columns divisible by 4.

    Returns:
        high int8 [rows, columns], low uint8 [rows, columns // 4], scale float16 [rows].
    """
    matrix = matrix.astype(np.float32)
    largest = np.abs(matrix).max(axis=1)
    # Rounded up, so that the largest value stays within the limit.
    scale = np.nextafter((largest / _LIMIT).astype(np.float16), np.float16(np.inf))
    integers = np.round(matrix / scale[:, None].astype(np.float32)).astype(np.int16)
    integers = integers.clip(-_LIMIT, _LIMIT)
    high = (integers // _LOW_VALUES).astype(np.int8)
    low = (integers % _LOW_VALUES).astype(np.uint8).reshape(len(matrix), -1, 4)
    return high, np.bitwise_or.reduce(low << _SHIFTS, axis=2), scale


def unpack_matrix(high: np.ndarray, low: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the float32 matrix [rows, columns] of what :func:`pack_matrix` returned."""
    values = high.astype(np.float32)
    values *= _LOW_VALUES
    for index, shift in enumerate(_SHIFTS):
        values[:, index::4] += (low >> shift) & (_LOW_VALUES - 1)
    values *= scale[:, None].astype(np.float32)
    return values


def pack_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Pack every matrix as NAME.high, NAME.low and NAME.scale; keep vectors in float32."""
    packed: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        if tensor.ndim == 2:
            parts = zip(_PARTS, pack_matrix(tensor), strict=True)
            packed |= {name + suffix: part for suffix, part in parts}
        else:
            packed[name] = tensor.astype(np.float32)
    return packed


def unpack_tensors(packed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Undo :func:`pack_tensors`; every tensor comes back in float32.

    Raises:
        CheckpointError: if a part is missing or parts do not fit one another.
    """
    names = dict.fromkeys(
        next((key.removesuffix(part) for part in _PARTS if key.endswith(part)), key)
        for key in packed
    )
    return {
        name: packed[name].astype(np.float32) if name in packed else _unpack_named(packed, name)
        for name in names
    }


def _unpack_named(packed: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    try:
        high, low, scale = (packed[name + part] for part in _PARTS)
    except KeyError as error:
        raise CheckpointError(f"packed weights lack tensor {error}") from None
    fits = (
        [part.dtype.name for part in (high, low, scale)] == ["int8", "uint8", "float16"]
        and high.ndim == 2
        and low.shape == (high.shape[0], high.shape[1] // 4)
        and scale.shape == (high.shape[0],)
        and high.shape[1] % 4 == 0
    )
    if not fits:
        raise CheckpointError(f"packed weights of {name!r} do not fit one another")
    return unpack_matrix(high, low, scale)
