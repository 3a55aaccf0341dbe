"""The graph of the detector inside the package for onnxruntime: in step with the weights, small, and with PyTorch's detections."""

from __future__ import annotations

import importlib.util
import json
import shutil
import stat
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import detkit
from detkit.export import compare
from detkit.export.agreement import TOLERANCES
from detkit.inference import load_exported
from detkit.inference.sources import source_metadata
from detkit.weights import EMBEDDED, embedded_onnx_path, require_embedded_path
from detkit.weights.embedded import WEIGHTS_KEY
from detkit.weights.fetch import sha256_of

onnx = pytest.importorskip("onnx")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that writes the file."""
    spec = importlib.util.spec_from_file_location("make_embedded_onnx", ROOT / "docs" / "make_embedded_onnx.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def file() -> Path:
    path = embedded_onnx_path()
    assert path is not None
    return path


def test_the_graph_is_in_step_with_the_weights(file: Path) -> None:
    entries = {entry.key: entry.value for entry in onnx.load(str(file), load_external_data=False).metadata_props}
    stale = "run python docs/make_embedded_onnx.py after each change of the weights"
    assert entries[WEIGHTS_KEY] == sha256_of(require_embedded_path()), stale
    own, other = source_metadata(file), source_metadata(require_embedded_path())
    assert own["class_names"] == tuple(other["class_names"])
    assert own["min_score"] == other["min_score"]


def test_the_graph_holds_no_weights_and_is_small(file: Path) -> None:
    assert file.stat().st_size < 300_000
    assert file.stat().st_size + require_embedded_path().stat().st_size < 10_000_000
    initializers = onnx.load(str(file), load_external_data=False).graph.initializer
    assert len(initializers) > 400
    for tensor in initializers:
        location = {row.key: row.value for row in tensor.external_data}
        assert location["location"] == require_embedded_path().name
        assert int(location["offset"]) % 2 == 0  # whole half-precision numbers


def test_detections_agree_with_those_of_pytorch(file: Path, script: ModuleType) -> None:
    predictor = detkit.load(EMBEDDED, "cpu", reference=True)
    agreement = compare(predictor, file, script.photographs())
    assert agreement.holds
    assert agreement.matched == agreement.detections > 50


def test_without_pytorch_the_rows_are_those_of_the_predictor(file: Path, script: ModuleType) -> None:
    light, full = load_exported(file, min_score=0.2), detkit.load(EMBEDDED, "cpu", "fp32", min_score=0.2)
    assert (light.class_names, light.preprocess, light.max_detections) == (full.class_names, full.preprocess, full.max_detections)
    for photograph in script.photographs()[:3]:
        arrays, tensors = light(photograph), full(photograph)
        assert arrays.labels.tolist() == tensors.labels.tolist()
        np.testing.assert_allclose(arrays.scores, tensors.scores.numpy(), atol=TOLERANCES["fp32"].score)
        np.testing.assert_allclose(arrays.boxes, tensors.boxes.numpy(), atol=5 * TOLERANCES["fp32"].box)


def test_it_runs_where_nothing_can_be_written(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "installed"
    folder.mkdir()
    for path in (file, require_embedded_path()):
        (folder / path.name).symlink_to(shutil.copy(path, tmp_path))  # as installers do that link files from a cache
        (tmp_path / path.name).chmod(stat.S_IRUSR)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert len(load_exported(folder / file.name)(np.zeros((50, 60, 3), np.uint8)).scores)
    finally:
        folder.chmod(stat.S_IRWXU)


def test_other_weights_are_refused(script: ModuleType, file: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    other = tmp_path / "embedded.safetensors"
    save_file({"neck.inputs.0.0.weight": np.zeros((3, 3), np.float32)}, other)
    with pytest.raises(RuntimeError, match=r"neck\.\S+: expected a tensor of .*embedded.safetensors with the shape"):
        script.move_weights_out(onnx.load(str(file), load_external_data=False), other)


@pytest.mark.slow
def test_the_script_writes_the_same_graph(script: ModuleType, file: Path) -> None:
    predictor = detkit.load(EMBEDDED, "cpu", reference=True)
    model = script.build(predictor, require_embedded_path())
    shipped = onnx.load(str(file), load_external_data=False)
    assert [node.op_type for node in model.graph.node] == [node.op_type for node in shipped.graph.node]
    assert list(model.graph.initializer) == list(shipped.graph.initializer)
    built, kept = (json.loads(row.metadata_props[0].value) for row in (model, shipped))
    changing = {"format", "detkit"}  # of the version that wrote the file; a later one may add keys too
    assert {key: built[key] for key in kept.keys() - changing} == {key: kept[key] for key in kept.keys() - changing}


def test_a_package_without_the_graph_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("_ONNX_FILE", "_FILE"):
        with monkeypatch.context() as patch:
            patch.setattr(f"detkit.weights.embedded.{name}", tmp_path / "none")
            assert embedded_onnx_path() is None
