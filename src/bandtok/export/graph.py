"""A small builder of ONNX graphs whose weights stay in the model's safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bandtok import __version__
from bandtok.backends.onnx_session import GRAPH_CONFIG
from bandtok.checkpoint import WEIGHTS_FILE

OPSET, IR_VERSION = 20, 9
MICROSOFT = "com.microsoft"
"""Domain of the operators that onnxruntime has beside the standard ones."""


class Graph:
    """A graph under construction; values are named by strings.

    Args:
        name: of the graph.
        shapes: of the model's weights, by key.
    """

    def __init__(self, name: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.name, self.shapes = name, shapes
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._names: dict[str, str] = {}

    def input(self, name: str, kind: type, shape: Sequence[int | str]) -> str:
        """Declare an input of numpy type `kind`; axes named by strings may have any length."""
        self._inputs.append(helper.make_tensor_value_info(name, _type(kind), shape))
        return name

    def output(self, name: str, value: str, kind: type, shape: Sequence[int | str]) -> None:
        """Give the value of an operator out under a name."""
        self._names[value] = name
        self._outputs.append(helper.make_tensor_value_info(name, _type(kind), shape))

    def weight(self, key: str, kind: type = np.float32) -> str:
        """Return the weight of a key, which is supplied when the graph is loaded."""
        if key not in self._initializers:
            tensor = TensorProto(
                name=key,
                data_type=_type(kind),
                dims=self.shapes[key],
                data_location=TensorProto.EXTERNAL,
            )
            tensor.external_data.add(key="location", value=WEIGHTS_FILE)
            self._initializers[key] = tensor
        return key

    def constant(self, values: object, kind: type) -> str:
        """Return a constant; equal ones are stored once."""
        array: np.ndarray = np.asarray(values, kind)
        name = f"constant_{array.dtype}_{'x'.join(map(str, array.shape))}_{array.tobytes().hex()}"
        self._initializers.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator with one output and return that."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add an operator with several outputs and return them."""
        number = len(self._nodes)
        names = [f"{kind.lower()}_{number}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names

    def reshape(self, value: str, *shape: int) -> str:
        """Reshape; 0 keeps an axis and -1 is what is left."""
        return self.op("Reshape", value, self.constant(shape, np.int64))

    def transpose(self, value: str, *axes: int) -> str:
        return self.op("Transpose", value, perm=list(axes))

    def serialized(self, config: Mapping[str, Any]) -> bytes:
        """Return the bytes of the .onnx file.

        Args:
            config: of the model, kept in the metadata.
        """
        for node in self._nodes:
            for values in (node.input, node.output):
                values[:] = [self._names.get(value, value) for value in values]
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, list(self._initializers.values())
        )
        domains = {node.domain for node in self._nodes} - {""}
        opsets = [("", OPSET), *((domain, 1) for domain in sorted(domains))]
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(*opset) for opset in opsets],
            ir_version=IR_VERSION,
            producer_name="bandtok",
            producer_version=__version__,
        )
        helper.set_model_props(model, {GRAPH_CONFIG: json.dumps(config, sort_keys=True)})
        result: bytes = model.SerializeToString()
        return result


def _type(kind: type) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(kind)))
