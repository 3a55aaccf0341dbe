"""Boxes that a model cannot meet are found, with their rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from detkit import zoo
from detkit.backbones import BackboneConfig
from detkit.config_classes import YOLOv1Config, YOLOv1HeadConfig, YOLOv1NeckConfig
from detkit.curation.checking.model_fit import model_findings
from detkit.data import DetectionData, ImageRecord
from detkit.data.checks.findings import Finding
from detkit.models.detector import DetectorConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.retinanet import RetinaNetConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets

BACKBONE = BackboneConfig(name="resnet18", weights=None, levels=("c3", "c4", "c5"))


def data(*boxes: list[float], size: tuple[int, int] = (640, 640)) -> DetectionData:
    targets = Targets.of(torch.tensor(boxes).float(), torch.zeros(len(boxes), dtype=torch.int64))
    return DetectionData.of("made", ["a"], [ImageRecord(Path("a.jpg"), 1, size, targets)])


def findings(config: DetectorConfig, made: DetectionData) -> dict[str, Finding]:
    return {finding.rule.name: finding for finding in model_findings(config, {"train": made})}


def test_small_boxes_at_the_input_with_a_larger_one() -> None:
    config = FCOSConfig(backbone=BACKBONE, preprocess=PreprocessConfig(short_side=320, long_side=320))
    assert findings(config, data([10, 10, 60, 60], [100, 100, 120, 125])) == {}
    finding = findings(config, data([10, 10, 60, 60], [100, 100, 112, 116]))["small_at_input"]
    assert finding.boxes is not None
    assert finding.boxes.tolist() == [1]
    assert finding.rule.advice.startswith("model.preprocess.short_side=")
    assert str(finding.examples()[0]).endswith("a.jpg object 2: 6.9 pixels")


@pytest.mark.parametrize(
    "config",
    [
        RetinaNetConfig(backbone=BACKBONE, preprocess=PreprocessConfig(short_side=640, long_side=640)),
        FasterRCNNConfig(
            backbone=BackboneConfig(name="resnet18", weights=None), preprocess=PreprocessConfig(short_side=640, long_side=640)
        ),
        zoo.load("ssd300_vgg16").model,
    ],
)
def test_boxes_without_an_anchor(config: DetectorConfig) -> None:
    assert findings(config, data([100, 100, 164, 164])) == {}
    found = findings(config, data([100, 100, 164, 164], [10, 300, 610, 330]))
    assert set(found) == {"anchor_miss"}
    boxes = found["anchor_miss"].boxes
    assert boxes is not None
    assert boxes.tolist() == [1]


def test_objects_that_share_a_cell() -> None:
    config = YOLOv1Config(
        preprocess=PreprocessConfig(rule="fixed", input_size=(64, 128)),
        backbone=BackboneConfig(name="resnet18", weights=None, levels=("c5",)),
        neck=YOLOv1NeckConfig(channels=(8,)),
        head=YOLOv1HeadConfig(hidden=(8,)),
    )
    found = findings(config, data([2, 2, 20, 20], [60, 30, 90, 60], [3, 3, 19, 21], size=(64, 128)))
    assert set(found) == {"cell_miss"}
    boxes = found["cell_miss"].boxes
    assert boxes is not None
    assert boxes.tolist() == [2]


def test_more_objects_than_detections() -> None:
    config = FCOSConfig(backbone=BACKBONE)
    config = config.replace(head=config.head.replace(postprocess=config.head.postprocess.replace(max_detections=1)))
    found = findings(config, data([10, 10, 200, 200], [300, 300, 600, 600]))
    assert set(found) == {"too_many_objects"}
    assert found["too_many_objects"].count == 1
