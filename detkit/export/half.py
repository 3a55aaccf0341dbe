"""Conversion of an exported network to half precision, all but what computes boxes, scores and their selection."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators with weights."""
_BETWEEN = frozenset(
    {
        "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Flatten", "GlobalAveragePool", "HardSigmoid", "HardSwish",
        "Identity", "LeakyRelu", "MaxPool", "Mul", "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "Split", "Tanh", "Transpose",
    }
)  # fmt: skip
"""Operators that stay in half precision between two layers."""
_SHAPED = frozenset({"Reshape", "Resize", "Slice", "Split"})
"""Of these, operators whose other inputs are shapes and positions."""

_SAMPLING = frozenset({"GridSample", "MaxRoiPool", "RoiAlign"})
"""Operators whose first input are values, and the others coordinates."""
_SELECTING = frozenset(
    {
        "And",
        "ArgMax",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "NonMaxSuppression",
        "NonZero",
        "Not",
        "Or",
        "Shape",
        "TopK",
    }
)
"""Operators that return positions and decisions."""


def to_half(model: Any) -> None:
    """Convert an ONNX model in place to half precision, with float32 inputs and outputs.

    The last layers of each branch, and the computation of boxes, scores and their selection, stay in float32: coordinates of a thousand
    pixels would be rounded to half a pixel.

    Args:
        model: An ``onnx.ModelProto``.
    """
    name_nodes(model)
    chosen = half_nodes(model)
    converter = _Converter(model)
    nodes = [copied for node in model.graph.node for copied in (converter.converted(node) if node.name in chosen else [node])]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)


class _Converter:
    """Converts nodes one by one; each tensor is cast once."""

    def __init__(self, model: Any) -> None:
        self.graph, self.casts = model.graph, set[str]()
        self.weights = {tensor.name: tensor for tensor in model.graph.initializer}

    def converted(self, node: Any) -> list[Any]:
        """Return the node in half precision, after casts of its inputs and before casts of its outputs."""
        from onnx import TensorProto, helper

        before = []
        for position, name in enumerate(node.input):
            if name and (position == 0 or node.op_type not in _SHAPED):
                before += self._cast_input(name)
                node.input[position] = _half(name)
        after = [helper.make_node("Cast", [_half(name)], [name], f"{name}/to_float", to=TensorProto.FLOAT) for name in node.output]
        for position, name in enumerate(node.output):
            self.casts.add(name)
            node.output[position] = _half(name)
        return [*before, node, *after]

    def _cast_input(self, name: str) -> list[Any]:
        """Make the half-precision copy of a weight, or the node that casts a tensor, unless it exists."""
        from onnx import TensorProto, helper, numpy_helper

        if name in self.casts:
            return []
        self.casts.add(name)
        if name not in self.weights:
            return [helper.make_node("Cast", [name], [_half(name)], f"{name}/to_half", to=TensorProto.FLOAT16)]
        values = numpy_helper.to_array(self.weights[name])
        largest = np.finfo(np.float16).max
        self.graph.initializer.append(numpy_helper.from_array(values.clip(-largest, largest).astype(np.float16), _half(name)))
        return []


def _half(name: str) -> str:
    return f"{name}/half"


def half_nodes(model: Any) -> set[str]:
    """Return the names of the nodes that run in half precision."""
    inner = inner_layers(model)
    computed = {name for node in model.graph.node if node.op_type != "Constant" for name in node.output}
    halves: set[str] = set()  # names of tensors
    found = set()
    for node in model.graph.node:
        values = node.input[:1] if node.op_type in _SHAPED else node.input
        inputs = [name for name in values if name in computed]
        between = node.op_type in _BETWEEN and bool(inputs) and halves.issuperset(inputs)
        if node.name in inner or between:
            found.add(node.name)
            halves.update(node.output)
    return found


def inner_layers(model: Any) -> set[str]:
    """Return the names of the layers whose outputs enter another layer as values, not as coordinates or by what they select."""
    followers: dict[str, list[Any]] = defaultdict(list)
    for node in model.graph.node:
        if node.op_type not in _SELECTING:
            for name in node.input[: 1 if node.op_type in _SAMPLING else None]:
                followers[name].append(node)
    leads: dict[str, bool] = {}  # whether a tensor leads to a layer
    for node in reversed(model.graph.node):
        for name in node.output:
            leads[name] = any(user.op_type in LAYERS or any(leads.get(out, False) for out in user.output) for user in followers[name])
    return {node.name for node in model.graph.node if node.op_type in LAYERS and any(leads[name] for name in node.output)}


def name_nodes(model: Any) -> None:
    """Give every node a name of its own."""
    seen: set[str] = set()
    for index, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{index}"
        seen.add(node.name)
