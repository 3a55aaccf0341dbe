"""Exported detectors without PyTorch: the same detections, as numpy arrays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bright import image
from PIL import Image

import detkit
from detkit.backbones import BackboneConfig
from detkit.export import export_onnx
from detkit.inference import ArrayPredictor, ImagePyramid, Predictor, load_exported
from detkit.inference.runtime import RUNTIMES, RuntimeInfo, file_runtime, is_exported
from detkit.models.fcos import FCOSConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import DetectionArrays, Detections

pytest.importorskip("onnx")
NAMES = ("cat", None, "dog")

SCRIPT = """
import json, sys
import numpy as np
from detkit.inference import load_exported
from detkit.drawing import draw_detections, readable_scale
predictor = load_exported(sys.argv[1], min_score=0.2)
detections = predictor(sys.argv[2])
drawn = detections.draw(sys.argv[2])
rows = {"rows": detections.to_dict(), "drawn": int(drawn.sum()), "heavy": sorted({"torch", "torchvision"} & set(sys.modules))}
print(json.dumps(rows))
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported FCOS with random weights and scores around .5."""
    torch.manual_seed(0)
    config = FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None), preprocess=PreprocessConfig(short_side=96, long_side=192))
    config = config.replace(neck=config.neck.replace(out_channels=64), head=config.head.replace(depth=1))
    detector = config.build(3).eval()
    detector.hide_unnamed_classes(NAMES)
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if name.endswith("bias") and parameter.min() < -3:
                parameter.fill_(0.0)
    path = tmp_path_factory.mktemp("light") / "model.onnx"
    export_onnx(Predictor(detector, config.preprocess, NAMES, "cpu", reference=True), path, [image()])
    return path


def test_detecting_and_drawing_do_not_import_torch(file: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(image()).save(photo)
    command = [sys.executable, "-c", SCRIPT, str(file), str(photo)]
    root = str(Path(detkit.__file__).parents[1])
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, check=False)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["heavy"] == []
    expected = detkit.load(file, min_score=0.2)(photo)
    assert len(expected) > 5
    assert found["drawn"] == int(expected.draw(photo).sum())
    rows = found["rows"]["detections"]
    assert [row["class"] for row in rows] == [row.class_name for row in expected]
    np.testing.assert_allclose([row["score"] for row in rows], expected.scores.numpy(), atol=1e-6)
    np.testing.assert_allclose([row["box"] for row in rows], expected.boxes.numpy(), atol=1e-3)


def test_results_equal_those_of_the_predictor_with_tensors(file: Path) -> None:
    light, full = load_exported(file), detkit.load(file)
    images = [image(), image(height=90), np.zeros((50, 50, 3), np.uint8)]
    for arrays, tensors in zip(light(images), full(images), strict=True):
        assert isinstance(arrays, DetectionArrays)
        assert isinstance(tensors, Detections)
        assert arrays.class_names == tensors.class_names == NAMES
        assert len(arrays) == len(tensors)
        np.testing.assert_allclose(arrays.boxes, tensors.boxes.numpy(), atol=1e-3)
        np.testing.assert_allclose(arrays.scores, tensors.scores.numpy(), atol=1e-6)
    assert repr(light) == "ArrayPredictor(OneStage, 2 classes, cpu, fp32)"


def test_options(file: Path) -> None:
    light = load_exported(file, min_score=0.3, classes=["dog"])
    rows = light(image())
    assert set(rows.labels.tolist()) == {2}
    assert rows.scores.min() >= 0.3
    assert light.reported == ("dog",)
    with pytest.raises(ValueError, match="class 'dig' is not among the 2 classes of the model: did you mean 'dog'"):
        load_exported(file, classes=["dig"])
    with pytest.raises(ValueError, match="expected a path, a PIL image or an array, got a tensor"):
        light(torch.zeros(3, 4, 4))


def test_a_runtime_states_its_properties(file: Path) -> None:
    info = file_runtime(file).open(file).info
    assert (info.class_names, info.input_size, info.pad_multiple, info.max_detections) == (NAMES, None, 32, 100)
    assert (str(info.device), info.precision, info.batch_size, info.takes_proposals, info.classifies) == ("cpu", "fp32", 1, False, False)
    assert detkit.load(file).runtime.info == info


def test_runtimes_are_found_by_the_ending() -> None:
    assert is_exported("a/b.onnx")
    assert not is_exported("a/b.safetensors")
    assert ".onnx" in RUNTIMES.names()
    with pytest.raises(ValueError, match=r"unknown runtime '.pb'"):
        file_runtime("a.pb")


class Corner:
    """A runtime of someone else: one detection in the upper left quarter of the prepared image."""

    info = RuntimeInfo("Corner", ("thing",), PreprocessConfig(short_side=40, long_side=80), "cpu", "fp32", batch_size=3)

    def detect(self, images: list[object]) -> list[DetectionArrays]:
        box = np.array([[0.0, 0.0, 20.0, 20.0]], np.float32)
        return [DetectionArrays(box, np.array([0.5], np.float32), np.array([0])) for _ in images]


@pytest.mark.parametrize("predictor", [Predictor.over(Corner()), ArrayPredictor(Corner())], ids=["tensors", "arrays"])
def test_a_predictor_over_any_runtime(predictor: Predictor | ArrayPredictor) -> None:
    rows = predictor([np.zeros((80, 120, 3), np.uint8)] * 4)
    assert [row.boxes.tolist() for row in rows] == [[[0.0, 0.0, 40.0, 40.0]]] * 4
    assert [row[0].class_name for row in rows] == ["thing"] * 4
    assert predictor.batch_size == 3


def test_what_needs_the_network_names_the_checkpoint(file: Path) -> None:
    predictor = detkit.load(file)
    assert len(ImagePyramid(predictor, (1, 2))(image()))
    for use in (lambda: predictor.detector, predictor.running):
        with pytest.raises(ValueError, match="OneStage: exported files support only detection and evaluation; use the checkpoint"):
            use()
