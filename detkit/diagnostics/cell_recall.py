"""Fraction of the objects of a dataset that YOLOv1 can learn, as each grid cell predicts only one object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from detkit.arrays import Integers
from detkit.data.records import DetectionData
from detkit.heads.yolov1 import YOLOv1Head
from detkit.models.detector import Detector
from detkit.models.one_stage import OneStage
from detkit.ops.match_cells import match_by_cell
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch


@dataclass(frozen=True)
class CellRecall:
    """Objects that can be assigned to a grid cell.

    Attributes:
        grid: Number of cells, ``(height, width)``.
        boxes: Number of objects in the data, without crowds.
        assigned: Number of objects assigned to a cell; the others share the cell of another object and are never learned.
    """

    grid: tuple[int, int]
    boxes: int
    assigned: int


def cell_recall(detector: Detector, preprocess: PreprocessConfig, data: DetectionData) -> CellRecall | None:
    """Assign the objects of ``data`` to grid cells as in training, at the input size of the model.

    Returns:
        The counts, or None for a detector other than YOLOv1.
    """
    unassigned = unassigned_objects(detector, preprocess, data)
    if unassigned is None:
        return None
    boxes = int((~data.records.is_crowd).sum())
    return CellRecall(cast("YOLOv1Head", cast("OneStage", detector).head).grid, boxes, boxes - len(unassigned))


def unassigned_objects(detector: Detector, preprocess: PreprocessConfig, data: DetectionData) -> Integers | None:
    """Return the rows of the objects that are not assigned to a grid cell, as another one has theirs; crowds are left out.

    Returns:
        The rows, ascending, or None for a detector other than YOLOv1.
    """
    head, size = detector.head if isinstance(detector, OneStage) else None, detector.input_size
    if not isinstance(head, YOLOv1Head) or size is None:
        return None
    (locations,) = head.locations([head.grid], Batch(torch.empty(1, 1, *size), (size,)))
    cells = locations[:: head.config.boxes_per_cell]
    rows: list[int] = []
    for record, start in zip(data.records, data.records.offsets.tolist(), strict=False):
        objects = (~record.targets.is_crowd).nonzero().flatten()
        targets = preprocess.placement(record.size).apply(record.targets[objects])
        assignment = match_by_cell(cells, cells[:, None], targets)
        assigned = set(assignment[assignment >= 0].tolist())
        rows += [start + row for number, row in enumerate(objects.tolist()) if number not in assigned]
    return np.array(rows, np.int64)
