"""Post-training quantization of an exported file to int8, calibrated on the user's images."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from detkit.export.half import LAYERS, half_nodes, inner_layers, name_nodes
from detkit.export.quantization.rounding import Feeds, round_weights
from detkit.machine import has_int8_products

QUANTIZED = (
    "Add", "AveragePool", "Clip", "Concat", "Conv", "Gemm", "GlobalAveragePool", "MatMul", "MaxPool", "Mul", "Relu", "Resize", "Sigmoid",
)  # fmt: skip
"""Operators that run in int8 where they lie between layers."""
_ACTIVATIONS = ("Clip", "Relu")
"""Activations that become part of the layer before them."""
_SELECTIONS = frozenset({"NonMaxSuppression", "TopK"})
"""Operators that select by score."""
_CLEAN = 40.0
"""Ratio of signal to noise, in decibels, that 8 bits give at best; what is not quantized counts like this."""


@dataclass(frozen=True)
class Layers:
    """Layers of a file.

    Attributes:
        quantized: Names of the nodes that run in int8.
        layers: Names of those with weights.
        kept: Names of the layers that stay in float32: the last ones, and the sensitive ones.
    """

    quantized: tuple[str, ...]
    layers: tuple[str, ...]
    kept: tuple[str, ...]


def quantize(source: Path, output: Path, batches: Sequence[Feeds], sensitive: Collection[str] = ()) -> Layers:
    """Write a copy of a file whose layers run in int8.

    The last layers of each branch stay in float32, and so does the computation of boxes, scores and their selection. Weights are rounded
    so that the outputs of their layers change least.

    Args:
        source: The file, in float32.
        output: The file to write.
        batches: Inputs on which the ranges of values are measured.
        sensitive: Names of layers that stay in float32, from :func:`sensitive_layers`.

    Raises:
        ImportError: If onnx or onnxruntime is not installed.
    """
    import onnx

    model = onnx.load(str(source))
    entries = {entry.key: entry.value for entry in model.metadata_props}
    name_nodes(model)
    layers = _layers(model, sensitive)
    written = _quantized(model, layers, batches)
    round_weights(model, written, batches)
    _prune(written)
    del written.metadata_props[:]
    onnx.helper.set_model_props(written, entries)
    output.write_bytes(written.SerializeToString())
    return layers


def _quantized(model: Any, layers: Layers, batches: Sequence[Feeds]) -> Any:
    """Return the model with these layers in int8; its own metadata is lost."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder, _without_warnings():
        source, output = Path(folder) / "named.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantize_static(
            source,
            output,
            Batches(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_quantize=list(layers.quantized),
            per_channel=True,
            reduce_range=not has_int8_products(),
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(str(output))


def sensitive_layers(source: Path, quantized: Path, batches: Sequence[Feeds], layers: Layers, count: int) -> tuple[str, ...]:
    """Return the layers at which the values lose the most, the worst first.

    A layer is judged by the ratio of signal to noise, in decibels, before and after it, with the activation that follows: what it loses in
    between is the noise that it adds or amplifies. Layers after a selection of regions or queries are not judged, as their rows are in
    another order as soon as two scores change places.

    Args:
        source: The file, in float32.
        quantized: Its copy in int8.
        batches: Inputs on which values are compared; one or two are enough.
        layers: The layers of the copy.
        count: Number of layers to return.
    """
    import onnx

    model = onnx.load(str(source))
    name_nodes(model)
    ratios = _signal_to_noise(source, quantized, batches)
    after = {name: node.output[0] for node in model.graph.node for name in node.input if node.op_type in _ACTIVATIONS}
    reordered = _after_selection(model)
    losses = {}
    for node in model.graph.node:
        entering = [_CLEAN, *(ratios[name] for name in node.input if name in ratios)]
        output = next((name for name in (node.output[0], after.get(node.output[0], "")) if name in ratios), None)
        if node.name in layers.layers and output is not None and output not in reordered:
            losses[node.name] = min(entering) - ratios[output]
    return tuple(sorted(losses, key=lambda name: losses[name], reverse=True)[:count])


def _after_selection(model: Any) -> set[str]:
    """Return the names of all tensors that depend on what a model selects by score."""
    names: set[str] = set()
    for node in model.graph.node:
        if node.op_type in _SELECTIONS or not names.isdisjoint(node.input):
            names.update(node.output)
    return names


def _signal_to_noise(source: Path, quantized: Path, batches: Sequence[Feeds]) -> dict[str, float]:
    """Return for each quantized tensor the ratio of its values to their difference from those in float32, in decibels."""
    from onnxruntime.quantization import qdq_loss_debug as debug

    values = []
    with tempfile.TemporaryDirectory() as folder, _without_warnings():
        for index, file in enumerate((quantized, source)):
            augmented = str(Path(folder) / f"{index}.onnx")
            debug.modify_model_output_intermediate_tensors(str(file), augmented)
            values.append(debug.collect_activations(augmented, Batches(batches)))
    ratios = {}
    for name, row in debug.create_activation_matching(*values).items():
        own, other = row.get("float", []), row["post_qdq"]
        if own and all(a.shape == b.shape for a, b in zip(own, other, strict=True)):
            ratios[name] = float(debug.compute_signal_to_quantization_noice_ratio(own, other))
    return ratios


class Batches:
    """Batches in the form in which onnxruntime's quantization reads them."""

    def __init__(self, batches: Sequence[Feeds]) -> None:
        self._batches = batches
        self._left: Iterator[Feeds] = iter(batches)

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """Return the next batch; None after the last."""
        return next((dict(batch) for batch in self._left), None)

    def rewind(self) -> None:
        """Start again with the first batch."""
        self._left = iter(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Restrict the batches to a range."""
        self._left = iter(self._batches[start_index:end_index])

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        return iter(self.get_next, None)  # type: ignore[arg-type]


def _prune(model: Any) -> None:
    """Remove weights that no node uses; onnxruntime would warn about each of them whenever the file is opened."""
    used = {name for node in model.graph.node for name in node.input}
    weights = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Without the lines of onnxruntime about every constant that its optimizer removes, and its advice to its own developers.

    It also divides infinite ranges, those of tensors that are not quantized.
    """
    import numpy as np
    import onnxruntime

    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(3)
    try:
        with np.errstate(invalid="ignore"):
            yield
    finally:
        onnxruntime.set_default_logger_severity(2)
        logging.disable(logging.NOTSET)


def _layers(model: Any, sensitive: Collection[str]) -> Layers:
    inner = inner_layers(model)
    between = half_nodes(model)
    chosen = [node for node in model.graph.node if node.name in between and node.op_type in QUANTIZED and node.name not in sensitive]
    kept = [node.name for node in model.graph.node if node.op_type in LAYERS and (node.name not in inner or node.name in sensitive)]
    return Layers(tuple(node.name for node in chosen), tuple(node.name for node in chosen if node.op_type in LAYERS), tuple(kept))
