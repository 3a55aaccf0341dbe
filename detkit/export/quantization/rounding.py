"""Rounding of weights to int8 so that the outputs of each layer change least, instead of each weight for itself.

A filter that subtracts its neighbors from a pixel cancels the brightness of an image. Rounded one by one, its weights no longer sum to
zero, and the brightness leaks into every later layer. Here the weights that are not yet rounded compensate the error of each weight
(GPTQ, arXiv:2210.17323, section 3; in the order of its code's ``act_order``), and the bias the error that is left on average
(arXiv:1906.04721, section 4.2).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Feeds = Mapping[str, NDArray[Any]]
"""Inputs of a file by name, for one batch."""
Values = NDArray[np.float32]

BATCHES = 16
"""Most batches on which the inputs of layers are measured."""
_OPERATORS = frozenset({"Conv", "Gemm", "MatMul"})
_POSITIONS = 512
"""Positions of an output at which its inputs are measured, per layer and batch."""
_MAX_INPUTS = 2304
"""Layers with more inputs to a weight row keep their rounding; the matrix of their products would take too much time and memory."""
_BLOCK = 128
"""Columns after which the later ones are updated at once, as in GPTQ."""
_DAMPING = 0.01
"""Fraction of the mean that is added to the diagonal, as in GPTQ."""


@dataclass
class _Inputs:
    """Sums over the input vectors of a layer.

    Attributes:
        count: Number of vectors.
        total: ``(G, D)`` their sum, for each group of a convolution.
        products: ``(G, D, D)`` the sum of their outer products.
    """

    count: int = 0
    total: Any = 0.0
    products: Any = 0.0

    def add(self, vectors: Values) -> None:
        """Add vectors, ``(G, N, D)``."""
        vectors = vectors.astype(np.float64)
        self.count += vectors.shape[1]
        self.total = self.total + vectors.sum(1)
        self.products = self.products + vectors.transpose(0, 2, 1) @ vectors


@dataclass
class _Layer:
    """The nodes that share a weight, and its names in the int8 model: values, scale, and those of the bias."""

    nodes: list[Any] = field(default_factory=list)
    weight: tuple[str, str] = ("", "")
    bias: tuple[str, str] | None = None


def round_weights(source: Any, quantized: Any, batches: Sequence[Feeds]) -> None:
    """Replace the int8 weights of a model, and its int32 biases, in place; the scales stay.

    Args:
        source: The ``onnx.ModelProto`` in float32, whose nodes have names.
        quantized: Its copy in int8, in which weights and biases enter their layers through ``DequantizeLinear``.
        batches: Inputs of the model; at most ``BATCHES`` are used.
    """
    weights = {tensor.name: tensor for tensor in source.graph.initializer}
    written = {tensor.name: tensor for tensor in quantized.graph.initializer}
    layers = _layers(source, quantized)
    for name, inputs in _measured(source, layers, weights, batches).items():
        _round_layer(layers[name], weights[name], written, inputs)


def _round_layer(layer: _Layer, weight: Any, written: Mapping[str, Any], inputs: _Inputs) -> None:
    """Replace the weight of a layer in whole numbers, and its bias."""
    from onnx import numpy_helper

    rows = _rows(layer.nodes[0], numpy_helper.to_array(weight))
    values, scale = (numpy_helper.to_array(written[name]) for name in layer.weight)
    grouped = rows.reshape(len(inputs.total), -1, rows.shape[1])
    scales = np.broadcast_to(scale.reshape(-1), (len(rows),)).reshape(grouped.shape[:2])
    mean, products = inputs.total / inputs.count, inputs.products / inputs.count
    if layer.bias is not None:  # which will take the mean
        products = products - mean[:, :, None] * mean[:, None]
    whole = rounded_rows(grouped, scales, products, int(np.abs(values.astype(np.int32)).max(initial=1)))
    new = whole.reshape(rows.shape).astype(values.dtype)
    new = np.ascontiguousarray(new.T if _is_transposed(layer.nodes[0]) else new).reshape(values.shape)
    written[layer.weight[0]].CopyFrom(numpy_helper.from_array(new, layer.weight[0]))
    if layer.bias is not None:
        _shift(written, layer.bias, np.einsum("god,gd->go", grouped - whole * scales[..., None], mean).reshape(-1))


def rounded_rows(rows: Values, scales: Values, products: NDArray[np.float64], limit: int) -> NDArray[np.int32]:
    """Return weights in whole numbers whose products with the inputs change least.

    Args:
        rows: ``(G, O, D)`` weights.
        scales: ``(G, O)`` scale of each row.
        products: ``(G, D, D)`` mean products of the inputs.
        limit: Largest absolute value of a whole number.
    """
    order = np.argsort(-np.einsum("gdd->d", products))
    left = rows[:, :, order].astype(np.float64)
    steps = _elimination(products[:, order][:, :, order])
    result = np.empty(left.shape, np.int32)
    for start in range(0, left.shape[2], _BLOCK):
        end = min(start + _BLOCK, left.shape[2])
        errors = np.empty((*left.shape[:2], end - start))
        for index in range(start, end):
            whole = np.clip(np.rint(left[:, :, index] / scales), -limit, limit)
            result[:, :, index] = whole
            error = (left[:, :, index] - whole * scales) / steps[:, None, index, index]
            errors[:, :, index - start] = error
            left[:, :, index + 1 : end] -= error[:, :, None] * steps[:, None, index, index + 1 : end]
        left[:, :, end:] -= errors @ steps[:, start:end, end:]
    unordered = np.empty_like(result)
    unordered[:, :, order] = result
    return unordered


def _elimination(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper Cholesky factor of the inverse of each matrix, whose diagonal is enlarged."""
    size = products.shape[1]
    diagonal = np.einsum("gdd->gd", products).mean(1)
    damped = products + (_DAMPING * diagonal + 1e-9)[:, None, None] * np.eye(size)
    return np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)


def _shift(written: Mapping[str, Any], bias: tuple[str, str], error: NDArray[np.float64]) -> None:
    from onnx import numpy_helper

    values, scale = (numpy_helper.to_array(written[part]) for part in bias)
    shifted = np.rint(values + error / scale.astype(np.float64)).astype(values.dtype)
    written[bias[0]].CopyFrom(numpy_helper.from_array(shifted, bias[0]))


def _layers(source: Any, quantized: Any) -> dict[str, _Layer]:
    """Return the layers with int8 weights by the name of the weight."""
    dequantized = {node.output[0]: (node.input[0], node.input[1]) for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
    constants = {tensor.name for tensor in quantized.graph.initializer}
    plain = {tensor.name: tuple(tensor.dims) for tensor in source.graph.initializer}
    inputs = {node.name: [dequantized.get(name, ("", "")) for name in node.input] for node in quantized.graph.node}
    layers: dict[str, _Layer] = defaultdict(_Layer)
    for node in source.graph.node:
        names = inputs.get(node.name, [])
        if node.op_type in _OPERATORS and names[1:] and names[1][0] in constants and _fits(node, plain.get(node.input[1], ())):
            layer = layers[node.input[1]]
            layer.nodes.append(node)
            layer.weight = names[1]
            layer.bias = names[2] if len(names) > 2 and names[2][0] in constants else None
    return layers


def _fits(node: Any, shape: tuple[int, ...]) -> bool:
    """Return whether a weight is that of a convolution of images or of a matrix product, with rows that are not too long."""
    if len(shape) != (4 if node.op_type == "Conv" else 2):
        return False
    return (shape[0] if _is_transposed(node) else int(np.prod(shape[1:]))) <= _MAX_INPUTS


def _is_transposed(node: Any) -> bool:
    """Return whether the columns of a weight belong to the outputs, instead of its rows."""
    return node.op_type == "MatMul" or (node.op_type == "Gemm" and not _attribute(node, "transB", 0))


def _rows(node: Any, values: Values) -> Values:
    """Return weights as ``(O, D)``."""
    return values.T if _is_transposed(node) else values.reshape(len(values), -1)


def _attribute(node: Any, name: str, default: Any) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(entry) for entry in node.attribute if entry.name == name), default)


def _measured(source: Any, layers: Mapping[str, _Layer], weights: Mapping[str, Any], batches: Sequence[Feeds]) -> dict[str, _Inputs]:
    """Run the model in float32 and return the sums over the inputs of each layer."""
    entering = {entry.name for entry in source.graph.input}
    names = list(dict.fromkeys(node.input[0] for layer in layers.values() for node in layer.nodes if node.input[0] not in entering))
    session = _session(source, names)
    random = np.random.default_rng(0)
    sums: dict[str, _Inputs] = defaultdict(_Inputs)
    for feeds in (batches[index] for index in range(min(len(batches), BATCHES))):
        values = {**feeds, **dict(zip(names, session.run(names, dict(feeds)) if names else (), strict=True))}
        for name, layer in layers.items():
            for node in layer.nodes:
                vectors = _vectors(node, values[node.input[0]], tuple(weights[name].dims), random)
                if vectors.shape[1]:
                    sums[name].add(vectors)
    return dict(sums)


def _session(source: Any, names: Sequence[str]) -> Any:
    """Return a session of onnxruntime that gives these tensors."""
    import onnx
    import onnxruntime

    model = onnx.ModelProto()
    model.CopyFrom(source)
    outputs = {entry.name for entry in model.graph.output}
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in outputs)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _vectors(node: Any, values: Values, shape: tuple[int, ...], random: np.random.Generator) -> Values:
    """Return input vectors of a layer at random positions of its output, ``(G, N, D)``."""
    if node.op_type != "Conv":
        rows = values.reshape(-1, values.shape[-1])
        return rows[random.permutation(len(rows))[:_POSITIONS]][None]
    (height, width), (up, left, down, right) = shape[2:], _attribute(node, "pads", [0] * 4)
    strides, dilations = (_attribute(node, name, [1, 1]) for name in ("strides", "dilations"))
    padded = np.pad(values, [(0, 0), (0, 0), (up, down), (left, right)])
    window = (height - 1) * dilations[0] + 1, (width - 1) * dilations[1] + 1
    if min(padded.shape[2] - window[0], padded.shape[3] - window[1]) < 0 or not len(padded):
        return np.empty((1, 0, 1), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, window, axis=(2, 3))
    windows = windows[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
    image, row, column = (random.integers(0, windows.shape[axis], _POSITIONS) for axis in (0, 2, 3))
    chosen = windows[image, :, row, column]  # (N, C, height, width)
    groups = _attribute(node, "group", 1)
    return chosen.reshape(len(chosen), groups, -1).transpose(1, 0, 2)
