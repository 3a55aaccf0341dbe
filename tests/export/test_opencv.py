"""Files for OpenCV's dnn."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from exporting import SMALL, noise_images, predictor_of

import detkit
import detkit.export.opencv as opencv
from detkit.backbones import BackboneConfig
from detkit.cli.main import main
from detkit.export import ExportSettings, export_onnx
from detkit.inference import Predictor
from detkit.models import MODELS

onnx = pytest.importorskip("onnx")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"
SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("retinanet", "yolox", "ssd")]


@pytest.mark.oracle("onnxruntime", "exported file in OpenCV's dnn module", tolerance="scores 1e-3, boxes 0.05 px")
@pytest.mark.parametrize("kind", ["fcos", *SLOW])
def test_opencv_gives_the_values_of_onnxruntime(kind: str, tmp_path: Path) -> None:
    predictor, shown = predictor_of(kind), noise_images((120, 200), (230, 100), (61, 60))
    size = (96, 160) if kind in {"fcos", "retinanet"} else None
    agreement = export_onnx(predictor, tmp_path / "m.onnx", shown, ExportSettings(for_opencv=True, size=size))
    assert agreement.holds
    assert agreement.detections > 10
    exported = detkit.load(tmp_path / "m.onnx")
    size = exported.runtime.info.input_size
    assert size is not None
    pixels = np.random.default_rng(1).random((1, 3, *size), dtype=np.float32)
    network = cv2.dnn.readNetFromONNX(str(tmp_path / "m.onnx"))
    network.setInput(pixels)
    scores, boxes = network.forward(["scores", "boxes"])
    expected = exported.runtime.run({"images": pixels})  # type: ignore[attr-defined]
    np.testing.assert_allclose(scores, expected[0], atol=1e-3)
    np.testing.assert_allclose(boxes, expected[1], atol=0.05)
    assert bool((scores[..., 1] == -1).all()), "a class without a name is never reported"
    assert sum(exported.runtime.metadata_entry.levels) == scores.shape[1]  # type: ignore[attr-defined]


@pytest.mark.slow
def test_the_example_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    example = re.search(r"<!-- the example with OpenCV -->\n```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert example is not None
    monkeypatch.chdir(tmp_path)
    (photo,) = noise_images((150, 170))
    cv2.imwrite("photo.png", photo[..., ::-1])
    Path("photo.png").rename("photo.jpg")
    predictor = predictor_of("fcos", ("a", "b", "c"))
    export_onnx(predictor, "cells.onnx", [photo], ExportSettings(for_opencv=True, size=(480, 640)))
    exec(compile(example[1], str(PAGE), "exec"), {})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len(lines) > 5
    expected = detkit.load("cells.onnx", min_score=0.5)("photo.jpg")
    for name, *numbers in lines[:5]:
        score, *box = map(float, numbers)
        rows = [row for row in expected if row.class_name == name and abs(row.score - score) < 1e-3]
        limits = [photo.shape[1], photo.shape[0]] * 2
        assert any(np.abs(np.array(row.box) - np.clip(box, 0, limits)).max() < 0.1 for row in rows), (name, score, box)


@pytest.mark.parametrize("kind", ["detr", "faster_rcnn"])
def test_other_detectors_are_refused_in_a_sentence(kind: str, tmp_path: Path) -> None:
    if kind == "faster_rcnn":
        config: Any = MODELS.get(kind)()  # type: ignore[operator]
        detector = config.replace(backbone=BackboneConfig(name="resnet18", weights=None)).build(3)
        predictor = Predictor(detector, SMALL, ("a", "b", "c"), "cpu", "fp32", reference=True)
    else:
        predictor = predictor_of(kind)
    with pytest.raises(ValueError, match="cannot be exported for OpenCV, whose dnn runs convolutional one-stage detectors"):
        export_onnx(predictor, tmp_path / "m.onnx", [], ExportSettings(for_opencv=True, size=(96, 96)))


def test_values_that_differ_in_opencv_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, shown = predictor_of("fcos"), noise_images((120, 200))
    monkeypatch.setattr(opencv, "_agree", lambda *_: False)
    with pytest.raises(ValueError, match=r"cannot be exported for OpenCV \d.*: its dnn computes other values than onnxruntime"):
        export_onnx(predictor, tmp_path / "m.onnx", shown, ExportSettings(for_opencv=True, size=(96, 96)))
    assert not list(tmp_path.iterdir())
    actual = {"scores": np.full((1, 2, 1), 0.5), "boxes": np.zeros((1, 2, 4))}
    monkeypatch.undo()
    for changes, agrees in (({}, True), ({"boxes": np.full((1, 2, 4), 0.2)}, False), ({"scores": np.full((1, 2, 1), 0.51)}, False)):
        assert opencv._agree(actual, actual | changes) is agrees
    assert not opencv._agree(actual, actual | {"boxes": np.zeros((2, 4))})


@pytest.mark.parametrize(
    ("kind", "size", "message"),
    [
        ("fcos", None, "size: the detector takes images of any size, OpenCV of one; name it, in multiples of 32"),
        ("fcos", (100, 96), "size: expected sides divisible by 32, got 100 x 96"),
        ("yolov1", (96, 96), "size: the detector takes images of 128 x 96 pixels, got 96 x 96"),
    ],
)
def test_sizes(kind: str, size: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        export_onnx(predictor_of(kind), tmp_path / "m.onnx", [], ExportSettings(for_opencv=True, size=size))


def test_settings_that_contradict_each_other() -> None:
    with pytest.raises(ValueError, match="size: only files for OpenCV have a size of their own"):
        ExportSettings(size=(96, 96))
    for settings in ({"outputs": "detections"}, {"precision": "fp16"}, {"batch_size": 2}):
        with pytest.raises(ValueError, match="for_opencv: expected outputs=locations, precision fp32 and one image per call"):
            ExportSettings(for_opencv=True, **settings)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_detector_inside_the_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--output", str(tmp_path / "m.onnx"), "--for-opencv"]) == 0
    assert "detections agree" in capsys.readouterr().out
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(metadata["detkit"])["batch_size"] == 1
    with torch.no_grad():
        network = cv2.dnn.readNetFromONNX(str(tmp_path / "m.onnx"))
    assert set(network.getUnconnectedOutLayersNames()) == {"scores", "boxes"}
