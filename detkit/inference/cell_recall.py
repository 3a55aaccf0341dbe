"""How many objects of a data set the cells of YOLOv1 can learn at all: a cell has one."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from detkit.data.records import DetectionData
from detkit.heads.yolov1 import YOLOv1Head
from detkit.models.detector import Detector
from detkit.ops.match_cells import match_by_cell
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch


@dataclass(frozen=True)
class CellRecall:
    """What the grid leaves out.

    Attributes:
        grid: Its cells, ``(height, width)``.
        boxes: Objects of the data, without crowds.
        answered: Those that a cell answers for; the others lie in the cell of another object and are never learned.
    """

    grid: tuple[int, int]
    boxes: int
    answered: int


def cell_recall(detector: Detector, preprocess: PreprocessConfig, data: DetectionData) -> CellRecall | None:
    """Match the boxes of ``data`` with the detector's cells, as its training does, at the size the model sees.

    Returns:
        ``None`` for a detector whose places may have more than one object.
    """
    head, size = getattr(detector, "head", None), detector.input_size
    if not isinstance(head, YOLOv1Head) or size is None:
        return None
    (locations,) = head.locations([head.grid], Batch(torch.empty(1, 1, *size), (size,)))
    cells = locations[:: head.config.boxes_per_cell]
    boxes = answered = 0
    for record in data.records:
        targets = preprocess.placement(record.size).place(record.targets[~record.targets.is_crowd])
        assignment = match_by_cell(cells, cells[:, None], targets)
        boxes += len(targets)
        answered += len(set(assignment[assignment >= 0].tolist()))
    return CellRecall(head.grid, boxes, answered)
