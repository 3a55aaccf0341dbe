"""Recall of a detector's anchors on the objects of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from detkit.arrays import Floats
from detkit.data.records import DetectionData
from detkit.heads.anchors import GridAnchors
from detkit.heads.default_boxes import DefaultBoxes
from detkit.models.detector import Detector
from detkit.ops.boxes import box_area, paired_iou
from detkit.preprocess import PreprocessConfig
from detkit.structures import Size, Targets

SIZES = (("all", 0.0, float("inf")), ("small", 0.0, 32.0**2), ("medium", 32.0**2, 96.0**2), ("large", 96.0**2, float("inf")))
"""COCO's size ranges, by box area in original pixels."""
_BLOCK = 8192
"""Boxes that are compared at once."""


@dataclass(frozen=True)
class AnchorRecall:
    """Recall of the anchors on objects of one size range.

    Attributes:
        size: ``all``, ``small``, ``medium`` or ``large``.
        boxes: Number of objects.
        mean_best_iou: Mean over the objects of the best IoU with any anchor.
        recall_50: Fraction of the objects that some anchor overlaps with an IoU of at least .5.
        recall_70: The same at an IoU of .7.
    """

    size: str
    boxes: int
    mean_best_iou: float
    recall_50: float
    recall_70: float


def anchor_recall(detector: Detector, preprocess: PreprocessConfig, data: DetectionData) -> tuple[AnchorRecall, ...] | None:
    """Compute the best IoU of each object with any anchor, at the input size of the model; crowds are left out.

    Args:
        detector: The detector; only its anchors are used, not its weights.
        preprocess: How images are resized for the detector.
        data: The labeled images.

    Returns:
        One row per size range, or None for a detector without anchors.
    """
    best = best_anchor_ious(detector, preprocess, data)
    if best is None:
        return None
    keep = torch.from_numpy(~data.records.is_crowd)
    ious, sizes = torch.from_numpy(best)[keep], box_area(torch.from_numpy(data.records.boxes)[keep])
    return tuple(_row(name, ious[(sizes >= low) & (sizes < high)]) for name, low, high in SIZES)


def best_anchor_ious(detector: Detector, preprocess: PreprocessConfig, data: DetectionData) -> Floats | None:
    """Return the best IoU ``(N,)`` of each box of the records with any anchor, at the input size of the model.

    All boxes of images of one size are compared at once.

    Args:
        detector: The detector; only its anchors are used, not its weights.
        preprocess: How images are resized for the detector.
        data: The labeled images.

    Returns:
        The IoUs, or None for a detector without anchors.
    """
    if _anchors(detector) is None:
        return None
    records = data.records
    grids_of_size = lru_cache(maxsize=64)(lambda size: anchor_grids(detector, size))
    sizes, group = np.unique(records.sizes, axis=0, return_inverse=True)
    group_of_box = group.reshape(-1)[records.image_index]
    order = np.argsort(group_of_box, kind="stable")
    ends = np.searchsorted(group_of_box[order], np.arange(len(sizes) + 1))
    best = np.zeros(len(records.boxes), np.float32)
    for index, (height, width) in enumerate(sizes.tolist()):
        placement = preprocess.placement((height, width))
        for start in range(ends[index], ends[index + 1], _BLOCK):
            rows = order[start : min(start + _BLOCK, ends[index + 1])]
            targets = Targets.of(torch.from_numpy(records.boxes[rows]), torch.from_numpy(records.labels[rows]))
            best[rows] = best_ious(placement.apply(targets).boxes, grids_of_size(placement.canvas)).numpy()
    return best


def anchor_grids(detector: Detector, size: Size) -> list[Tensor]:
    """Return the anchors ``(H, W, A, 4)`` of each level for an image of ``size`` (before padding), without running the network."""
    strides = cast("Sequence[int]", detector.neck.strides)
    padded = tuple(-(-side // detector.pad_multiple) * detector.pad_multiple for side in size)
    grids = [(-(-padded[0] // stride), -(-padded[1] // stride)) for stride in strides]
    levels: list[Tensor] = cast("nn.Module", _anchors(detector))(padded, grids)
    return [level.reshape(*grid, -1, 4) for level, grid in zip(levels, grids, strict=True)]


def _anchors(detector: Detector) -> nn.Module | None:
    """Return the part of a detector that computes its anchors: of an RPN, of RetinaNet, or SSD's default boxes."""
    return next((module for module in detector.modules() if isinstance(module, (GridAnchors, DefaultBoxes))), None)


def best_ious(boxes: Tensor, levels: Sequence[Tensor]) -> Tensor:
    """Return the best IoU ``(N,)`` of each box with any anchor of the grids ``(H, W, A, 4)``.

    Of the anchors of one shape on a grid, the one whose center is nearest to that of the box has the largest IoU. Only this anchor is
    compared, which gives a few dozen pairs per box instead of 200,000.
    """
    best = boxes.new_zeros(len(boxes))
    center_x, center_y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    for level in levels:
        for shape in range(level.shape[2]):
            x = _nearest(level[0, :, shape, 0::2].mean(-1), center_x)
            y = _nearest(level[:, 0, shape, 1::2].mean(-1), center_y)
            best = torch.maximum(best, paired_iou(boxes, level[y, x, shape]))
    return best


def _nearest(centers: Tensor, targets: Tensor) -> Tensor:
    return (centers[None] - targets[:, None]).abs().argmin(1)


def _row(name: str, best: Tensor) -> AnchorRecall:
    if not len(best):
        return AnchorRecall(name, 0, float("nan"), float("nan"), float("nan"))
    recalls = [float((best >= threshold).float().mean()) for threshold in (0.5, 0.7)]
    return AnchorRecall(name, len(best), float(best.mean()), *recalls)
