"""The example in docs/export.md gives the detections of detkit."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import detkit
from detkit.backbones import BackboneConfig
from detkit.export import export_onnx
from detkit.inference import Predictor
from detkit.models.fcos import FCOSConfig
from detkit.preprocess import PreprocessConfig

pytest.importorskip("onnx")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"


@pytest.mark.parametrize(
    "preprocess",
    [
        pytest.param(PreprocessConfig(short_side=224, long_side=400), id="short side", marks=pytest.mark.slow),
        pytest.param(PreprocessConfig(short_side=224, long_side=250), id="long side", marks=pytest.mark.slow),
        pytest.param(PreprocessConfig(rule="letterbox", input_size=(224, 320)), id="letterbox"),
    ],
)
def test_example_gives_the_detections_of_detkit(
    preprocess: PreprocessConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.search(r"<!-- the example -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    torch.manual_seed(0)
    config = FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None), preprocess=preprocess)
    detector = config.build(2).eval()
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if "logits" in name:
                parameter.mul_(30 if parameter.ndim > 1 else 0)
    image = np.random.default_rng(0).integers(0, 256, (96, 130, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "photo.png"), image)
    (tmp_path / "photo.png").rename(tmp_path / "photo.jpg")
    predictor = Predictor(detector, config.preprocess, ("a", "b"), "cpu", "fp32", reference=True)
    export_onnx(predictor, tmp_path / "cells.onnx", [str(tmp_path / "photo.jpg")])
    monkeypatch.chdir(tmp_path)
    exec(compile(example[1], str(PAGE), "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines
    detections = detkit.load("cells.onnx")("photo.jpg")
    name, score = lines[0].split()[:2]
    assert name in ("a", "b")
    assert float(score) == pytest.approx(float(detections.scores[0]), abs=0.03), "OpenCV resizes without antialiasing"
