"""Half precision in exported files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exporting import noise_images, predictor_of

from detkit.export import ExportSettings, export_onnx
from detkit.export.half import half_nodes, inner_layers, to_half
from detkit.inference import load_exported

onnx = pytest.importorskip("onnx")


def chain() -> Any:
    """Two convolutions with an activation between them, and boxes computed from the last in pixels."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {
        "a": rng.normal(size=(4, 3, 3, 3)),
        "b": rng.normal(size=(4, 4, 1, 1)),
        "c": rng.normal(size=(2, 4, 1, 1)),
        "far": np.array([1234.5678]),
    }
    nodes = [
        helper.make_node("Conv", ["images", "a"], ["x"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["x"], ["y"], "between"),
        helper.make_node("Conv", ["y", "b"], ["z"], "second"),
        helper.make_node("Conv", ["z", "c"], ["last"], "last"),
        helper.make_node("Add", ["last", "far"], ["boxes"], "decode"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "c", "h", "w"]) for name in ("images", "boxes")]
    tensors = [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_layers_before_the_last_and_what_lies_between_them_are_halved() -> None:
    model = chain()
    assert inner_layers(model) == {"first", "second"}
    assert half_nodes(model) == {"first", "between", "second"}


def test_weights_are_halved_and_coordinates_are_not_rounded() -> None:
    runtime = pytest.importorskip("onnxruntime")
    images = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    (expected,) = runtime.InferenceSession(chain().SerializeToString()).run(None, {"images": images})
    model = chain()
    to_half(model)
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    half, full = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    assert kinds == {"a/half": half, "b/half": half, "c": full, "far": full}
    onnx.checker.check_model(model, full_check=True)
    (actual,) = runtime.InferenceSession(model.SerializeToString()).run(None, {"images": images})
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=0.05)
    assert np.abs(actual % 1 - expected % 1).max() < 0.05, "1234.5678 in half precision is 1235"


def test_a_detector_in_half_precision(tmp_path: Path) -> None:
    predictor, shown = predictor_of("fcos"), noise_images((120, 200))
    agreement = export_onnx(predictor, tmp_path / "half.onnx", shown, ExportSettings(precision="fp16"))
    assert agreement.holds
    assert agreement.score > 0
    export_onnx(predictor, tmp_path / "full.onnx", shown)
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * (tmp_path / "full.onnx").stat().st_size
    assert load_exported(tmp_path / "half.onnx").precision == "fp16"


def test_what_only_selects_or_places_regions_is_not_inside() -> None:
    """The layers of a first stage, whose boxes say where the second looks, end there."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Conv", ["images", "w"], ["map"], "backbone"),
        helper.make_node("Conv", ["map", "w"], ["deltas"], "first stage"),
        helper.make_node("Conv", ["map", "w"], ["scores"], "objectness"),
        helper.make_node("TopK", ["scores", "k"], ["best", "indices"], "best"),
        helper.make_node("Gather", ["deltas", "indices"], ["boxes"], "boxes"),
        helper.make_node("RoiAlign", ["map", "boxes", "images_of"], ["regions"], "pooling"),
        helper.make_node("Greater", ["scores", "zero"], ["is object"], "decision"),
        helper.make_node("Where", ["is object", "regions", "zero"], ["kept"], "kept"),
        helper.make_node("Conv", ["kept", "w"], ["hidden"], "second stage"),
        helper.make_node("Conv", ["hidden", "w"], ["out"], "last"),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("images", "out")]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]))
    assert inner_layers(model) == {"backbone", "second stage"}
