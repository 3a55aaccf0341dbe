from __future__ import annotations

import torch

from detkit.backbones import BackboneConfig
from detkit.config_classes import PreprocessConfig, YOLOv1Config, YOLOv1HeadConfig, YOLOv1NeckConfig
from detkit.data.records import DetectionData, ImageRecord
from detkit.diagnostics.cell_recall import CellRecall, cell_recall
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.structures import Targets


def test_each_cell_is_assigned_one_object() -> None:
    config = YOLOv1Config(
        preprocess=PreprocessConfig(rule="fixed", input_size=(64, 128)),
        backbone=BackboneConfig(name="resnet18", weights=None, levels=("c5",)),
        neck=YOLOv1NeckConfig(channels=(8,)),
        head=YOLOv1HeadConfig(hidden=(8,)),
    )
    detector = config.build(1)
    rows, columns = detector.head.grid  # type: ignore[union-attr]
    # The image has half the size of the input, so a cell spans half as many pixels of the image.
    height, width = 32 / rows, 64 / columns
    first = [0.1 * width, 0.1 * height, 0.6 * width, 0.6 * height]
    same_cell = [0.3 * width, 0.3 * height, 0.9 * width, 0.9 * height]
    next_cell = [1.1 * width, 0.1 * height, 1.6 * width, 0.6 * height]
    boxes, crowd = torch.tensor([first, same_cell, next_cell, next_cell]), torch.tensor([False, False, False, True])
    records = [
        ImageRecord("a.jpg", 1, (32, 64), Targets.of(boxes, torch.zeros(4).long(), crowd)),  # type: ignore[arg-type]
        ImageRecord("b.jpg", 2, (32, 64), Targets.of(torch.tensor([same_cell]), torch.zeros(1).long())),  # type: ignore[arg-type]
        ImageRecord("c.jpg", 3, (32, 64), Targets.empty()),  # type: ignore[arg-type]
    ]
    result = cell_recall(detector, config.preprocess, DetectionData.of("made", ("a",), records))
    assert result == CellRecall((rows, columns), 4, 3)


def test_other_detectors_have_no_cells() -> None:
    config = FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None))
    assert cell_recall(config.build(1), config.preprocess, DetectionData.of("made", ("a",), [])) is None
