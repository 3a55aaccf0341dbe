"""Rounding of int8 weights by the inputs of their layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detkit.export.quantization.quantize import quantize
from detkit.export.quantization.rounding import round_weights, rounded_rows

onnx = pytest.importorskip("onnx")


def plain(rows: NDArray[np.float32], scales: NDArray[Any]) -> NDArray[Any]:
    return np.rint(rows / scales[..., None])


def test_the_products_with_the_inputs_change_less_than_by_plain_rounding() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 500, 200)) @ (rng.normal(size=(2, 200, 200)) / 14 + 0.5)  # more than a block, and far from independent
    rows = rng.normal(size=(2, 8, 200)).astype(np.float32)
    scales = np.abs(rows).max(2) / 127
    whole = rounded_rows(rows, scales, inputs.transpose(0, 2, 1) @ inputs / 500, 127)

    def error(values: NDArray[Any]) -> float:
        return float((((values * scales[..., None] - rows) @ inputs.transpose(0, 2, 1)) ** 2).mean())

    assert error(whole) < 0.1 * error(plain(rows, scales))
    assert np.abs(whole).max() <= 127
    assert np.abs(whole - plain(rows, scales)).max() < 20, "weights stay near their values"


def test_independent_inputs_of_one_size_give_plain_rounding() -> None:
    rows = np.random.default_rng(1).normal(size=(1, 3, 5)).astype(np.float32)
    scales = np.abs(rows).max(2) / 64
    np.testing.assert_array_equal(rounded_rows(rows, scales, np.eye(5)[None], 64), plain(rows, scales))


def test_inputs_that_are_always_zero_are_rounded_plainly() -> None:
    rows = np.random.default_rng(1).normal(size=(1, 3, 5)).astype(np.float32)
    scales = np.abs(rows).max(2) / 127
    np.testing.assert_array_equal(rounded_rows(rows, scales, np.zeros((1, 5, 5)), 127), plain(rows, scales))


def network(path: Path) -> Path:
    """Write a depthwise and a pointwise convolution, both with a bias, a strided one without, a matrix product, and a last layer."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    shapes = {"w0": (4, 1, 3, 3), "b0": (4,), "w1": (8, 4, 1, 1), "b1": (8,), "w2": (8, 8, 3, 3), "w3": (8, 6), "w4": (6, 5)}
    weights = {name: (rng.normal(size=shape) / 4).astype(np.float32) for name, shape in shapes.items()}
    weights["w0"] -= weights["w0"].mean((1, 2, 3), keepdims=True) - 1e-3  # differences of neighbors
    nodes = [
        helper.make_node("Conv", ["images", "w0", "b0"], ["x0"], "depthwise", group=4, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["x0", "w1", "b1"], ["x1"], "pointwise"),
        helper.make_node("Conv", ["x1", "w2"], ["x2"], "strided", strides=[2, 2], dilations=[2, 2], pads=[2, 1, 2, 1]),
        helper.make_node("Transpose", ["x2"], ["x3"], "transpose", perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["x3", "w3"], ["x4"], "product"),
        helper.make_node("MatMul", ["x4", "w4"], ["boxes"], "last"),
    ]
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    inputs = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 4, "h", "w"])
    outputs = [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, None)]
    model = helper.make_model(helper.make_graph(nodes, "g", [inputs], outputs, tensors), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def bright_images(count: int = 4) -> list[dict[str, NDArray[Any]]]:
    """Return smooth, bright images, whose brightness the depthwise layer cancels."""
    rng = np.random.default_rng(1)
    return [
        {"images": (5 + 0.2 * rng.normal(size=(1, 4, 16, 16)) + rng.uniform(-1, 1, (1, 4, 1, 1))).astype(np.float32)} for _ in range(count)
    ]


def outputs(model: Any, names: list[str]) -> list[NDArray[np.float32]]:
    import onnxruntime

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(values) for values in session.run(names, bright_images()[0])]


def test_brightness_does_not_leak_through_rounded_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = network(tmp_path / "a.onnx")
    quantize(source, tmp_path / "rounded.onnx", bright_images())
    monkeypatch.setattr("detkit.export.quantization.quantize.round_weights", lambda *arguments: None)
    quantize(source, tmp_path / "plain.onnx", bright_images())
    names = ["x1", "x2", "x4"]
    expected = outputs(onnx.load(source), names)
    rounded, before = (outputs(onnx.load(tmp_path / file), names) for file in ("rounded.onnx", "plain.onnx"))
    for name, one, other, exact in zip(names, rounded, before, expected, strict=True):
        errors = [np.abs((values - exact).mean(1 if name == "x4" else (2, 3))).mean() for values in (one, other)]
        assert errors[0] < 0.5 * errors[1], name
    written = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(tmp_path / "rounded.onnx").graph.initializer}
    for tensor in onnx.load(tmp_path / "plain.onnx").graph.initializer:
        assert written[tensor.name].dtype == onnx.numpy_helper.to_array(tensor).dtype
        if not tensor.name.endswith(("_quantized", "bias_quantized")):
            np.testing.assert_array_equal(written[tensor.name], onnx.numpy_helper.to_array(tensor), err_msg="scales stay")


def test_a_model_without_quantized_layers_stays_as_it_is(tmp_path: Path) -> None:
    model = onnx.load(network(tmp_path / "a.onnx"))
    text = model.SerializeToString()
    round_weights(model, model, bright_images())
    assert model.SerializeToString() == text
