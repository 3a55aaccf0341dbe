"""``detkit explain`` on a small random Faster R-CNN and a small random RetinaNet."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bright import image, predictor, saved
from PIL import Image

import detkit.inference
from detkit.cli.main import main
from detkit.diagnostics.explanation import explain
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import Predictor
from detkit.models import MODELS
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets

NAMES = ("cat", "dog")
PREPROCESS = PreprocessConfig(short_side=96, long_side=160)


def small(kind: str) -> Predictor:
    torch.manual_seed(0)
    config: Any = MODELS.get(kind)()
    config = config.replace(backbone=config.backbone.replace(name="resnet18", weights=None), neck=config.neck.replace(out_channels=32))
    if kind == "faster_rcnn":
        region = config.region.replace(head=TwoFCConfig(hidden=32), pool_size=3)
        config = config.replace(rpn=config.rpn.replace(max_proposals=50), region=region)
    return Predictor(config.build(2), PREPROCESS, NAMES, "cpu", "fp32", reference=True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an image of 80 x 60 and its labels; models are named by the kinds of detectors."""

    def load(source: Any, device: str, precision: str, **options: Any) -> Any:
        return predictor(60) if str(source) == "bright" else small(str(source))

    monkeypatch.setattr(detkit.inference, "load", load)
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, "a.png", image())
    write_labels()
    return tmp_path


def write_labels(width: int = 80, file_name: str = "a.png") -> None:
    rows = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 20, 20, 20]},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": [40, 5, 20, 10]},
    ]
    content = {
        "images": [{"id": 1, "file_name": file_name, "width": width, "height": 60}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cow"}],
        "annotations": rows,
    }
    Path("gt.json").write_text(json.dumps(content))


def test_two_stages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a.png", "--model", "faster_rcnn", "--data", "gt.json"]) == 0
    out = capsys.readouterr().out
    assert "image: a.png (80 x 60), resized to 128 x 96" in out
    assert "skipped 1 object of classes that the detector does not have" in out
    assert "ground truth: 1 object of gt.json" in out
    assert "stage rpn: 3,072 anchors on 5 levels; " in out
    assert "stage region: 50 proposals on 1 level; " in out
    assert re.search(r"dog +32 x 32 +[1-9]\d* +[01]\.\d\d +0\.\d{3}\n", out)
    names = [f"a-{stage}-{what}.png" for stage in ("region", "rpn") for what in ("locations", "matches", "scores")]
    assert sorted(path.name for path in Path("runs/explain-1").iterdir()) == names
    assert all(f"runs/explain-1/{name}" in out for name in names)
    assert Image.open("runs/explain-1/a-rpn-matches.png").width == 128 * 4  # enlarged, to be readable


def test_one_stage_without_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a.png", "--model", "retinanet", "--output", "out"]) == 0
    out = capsys.readouterr().out
    assert "ground truth: 0 of the detector's own detections (score of at least 0.5), as --data is not given" in out
    assert "stage head: 2,313 anchors on 5 levels; no candidates before NMS, 0 after" in out
    assert sorted(path.name for path in Path("out").iterdir()) == ["a-head-locations.png", "a-head-matches.png", "a-head-scores.png"]
    assert main(["explain", "a.png", "--model", "retinanet", "--output", "out"]) == 0  # its own drawings are replaced
    assert len(list(Path("out").iterdir())) == 3


def test_own_detections_replace_missing_labels() -> None:
    detector = small("faster_rcnn")
    explanation = explain(detector, image(), min_score=0.0)
    assert explanation.from_detections
    assert len(explanation.targets) == len(detector(image()))
    assert (explanation.image.shape, explanation.original_size) == ((3, 96, 128), (60, 80))
    first = explanation.stages[0]
    assert set(first.assignment[first.assignment >= 0].tolist()) <= set(range(len(explanation.targets)))


def test_targets_are_in_original_pixels_and_the_mode_is_kept() -> None:
    detector = small("retinanet")
    detector.detector.train()
    targets = Targets.of(torch.tensor([[10.0, 20, 30, 40]]), torch.tensor([1]))
    explanation = explain(detector, torch.from_numpy(image()).permute(2, 0, 1), targets)
    assert not explanation.from_detections
    assert explanation.targets.boxes.tolist() == [[16.0, 32, 48, 64]]
    assert detector.detector.training
    red = explanation.image[0] > 0.5
    assert np.allclose(red.nonzero().amin(0), [32, 16], atol=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("b.png", "--model", "retinanet"), "b.png"),
        (("a.png", "--model", "bright"), "BrightDetector"),
        (("a.png", "--model", "retinanet", "--data", "none.json"), "none.json"),
        (
            ("a.png", "--model", "retinanet", "--data", "gt.json", "--rename", "cow=cat", "--rename", "horse=dog"),
            "the data has no class 'horse'",
        ),
    ],
)
def test_wrong_names_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert main(["explain", *words]) == 2
    line = capsys.readouterr().err
    assert message in line
    assert line.count("\n") == 1


def test_an_image_that_the_data_does_not_have(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(folder, "b.png", image())
    assert main(["explain", "b.png", "--model", "retinanet", "--data", "gt.json"]) == 2
    assert "b.png: not among the 1 image of gt.json (by file name); leave out --data, or correct it" in capsys.readouterr().err


def test_a_label_that_the_detector_does_not_have() -> None:
    targets = Targets.of(torch.tensor([[10.0, 20, 30, 40]]), torch.tensor([2]))
    with pytest.raises(ValueError, match="targets: label 2: expected 0 to 1 for 2 classes"):
        explain(small("retinanet"), image(), targets)


def test_renamed_classes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "a.png", "--model", "retinanet", "--data", "gt.json", "--rename", "cow=cat"]) == 0
    assert "ground truth: 2 objects of gt.json" in capsys.readouterr().out
