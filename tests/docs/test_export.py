"""The example in docs/export.md gives the detections of detkit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.backbones import BackboneConfig
from detkit.export import export_onnx
from detkit.inference import Predictor, load_exported
from detkit.models.fcos import FCOSConfig
from detkit.preprocess import PreprocessConfig

onnx = pytest.importorskip("onnx")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"
LETTERBOX = PreprocessConfig(rule="letterbox", input_size=(160, 224))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    torch.manual_seed(0)
    config = FCOSConfig(backbone=BackboneConfig(name="resnet18", weights=None), preprocess=PreprocessConfig(short_side=96, long_side=128))
    config = config.replace(neck=config.neck.replace(out_channels=64), head=config.head.replace(depth=1))
    detector = config.build(2).eval()
    with torch.no_grad():
        for name, parameter in detector.named_parameters():
            if "logits" in name:
                parameter.mul_(30 if parameter.ndim > 1 else 0)
    path = tmp_path_factory.mktemp("exported") / "cells.onnx"
    photo = np.random.default_rng(0).integers(0, 256, (96, 130, 3), dtype=np.uint8)
    export_onnx(Predictor(detector, config.preprocess, ("a", "b"), "cpu", "fp32", reference=True), path, [photo])
    return onnx.load(path)


@pytest.mark.parametrize(
    ("preprocess", "size"),
    [
        pytest.param(PreprocessConfig(short_side=160, long_side=400), (96, 130), id="short side"),
        pytest.param(PreprocessConfig(short_side=160, long_side=180, rounding="nearest"), (301, 210), id="long side, nearest"),
        pytest.param(PreprocessConfig(short_side=160, long_side=300, enlarge=False, antialias=True), (301, 210), id="antialias"),
        pytest.param(LETTERBOX, (301, 210), id="letterbox"),
        pytest.param(LETTERBOX.replace(pad_side="both", pad_value=0), (96, 130), id="both sides"),
        pytest.param(LETTERBOX.replace(box_scaling="factor", max_value=255, channel_order="bgr"), (301, 210), id="factor, bgr, 255"),
        pytest.param(PreprocessConfig(rule="fixed", input_size=(160, 192), antialias=True), (96, 130), id="fixed"),
    ],
)
def test_example_gives_the_detections_of_detkit(
    preprocess: PreprocessConfig,
    size: tuple[int, int],
    exported: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    example = re.search(r"<!-- the example -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    monkeypatch.chdir(tmp_path)
    metadata = json.loads(exported.metadata_props[0].value)
    exported.metadata_props[0].value = json.dumps(metadata | {"preprocess": preprocess.to_json()})
    onnx.save(exported, "cells.onnx")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)).save("photo.png")
    Path("photo.png").rename("photo.jpg")
    exec(compile(example[1], str(PAGE), "exec"), {})
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    expected = load_exported("cells.onnx", min_score=0.0)("photo.jpg")
    assert len(lines) == len(expected) > 10
    rows = np.array([["ab".index(name), *numbers] for name, *numbers in lines], np.float64)
    wanted = np.concatenate((expected.labels[:, None], expected.scores[:, None], expected.boxes), 1)
    np.testing.assert_allclose(rows[:, 1], wanted[:, 1], atol=1e-4)
    nearest = np.abs(rows[:, None] - wanted).max(-1).argmin(1)  # of equal scores, either can come first
    assert sorted(nearest) == list(range(len(wanted)))
    np.testing.assert_allclose(rows, wanted[nearest], atol=1e-2)
