"""Whether a detector's anchors can reach the objects of a data set at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from detkit.data.records import DetectionData
from detkit.models.detector import Detector
from detkit.ops.boxes import box_area
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Size

SIZES = (("all", 0.0, float("inf")), ("small", 0.0, 32.0**2), ("medium", 32.0**2, 96.0**2), ("large", 96.0**2, float("inf")))
"""COCO's size classes, by a box's area in the image's own pixels."""


@dataclass(frozen=True)
class AnchorRecall:
    """How well the anchors cover objects of one size.

    Attributes:
        size: ``all``, ``small``, ``medium`` or ``large``.
        boxes: How many.
        mean_best: Mean over the boxes of the best IoU with any anchor.
        at_50: Share of the boxes that some anchor meets at IoU .5.
        at_70: The same at .7.
    """

    size: str
    boxes: int
    mean_best: float
    at_50: float
    at_70: float


def anchor_recall(detector: Detector, preprocess: PreprocessConfig, data: DetectionData) -> tuple[AnchorRecall, ...] | None:
    """The best IoU of each box with any anchor, at the size the model sees; crowds are left out.

    Args:
        detector: Its anchors are taken, its weights are not.
        preprocess: How images are resized for it.
        data: The boxes.

    Returns:
        One row a size class; ``None`` for a detector without anchors.
    """
    if not any(hasattr(module, "anchors_on") for module in detector.modules()):
        return None
    on_size = lru_cache(maxsize=64)(lambda size: anchor_grids(detector, size))
    overlaps, areas = [torch.zeros(0)], [torch.zeros(0)]
    for record in data.records:
        targets = record.targets[~record.targets.is_crowd]
        placement = preprocess.placement(record.size)
        if len(targets):
            overlaps.append(best_overlaps(placement.place(targets).boxes, on_size(placement.canvas)))
            areas.append(box_area(targets.boxes))
    best, sizes = torch.cat(overlaps), torch.cat(areas)
    return tuple(_row(name, best[(sizes >= low) & (sizes < high)]) for name, low, high in SIZES)


def anchor_grids(detector: Detector, size: Size) -> list[Tensor]:
    """For each level the anchors on an image of ``size`` (before padding), ``(H, W, A, 4)``; nothing is computed but their places."""
    head = next(module for module in detector.modules() if hasattr(module, "anchors_on"))
    strides: Sequence[int] = detector.neck.strides  # type: ignore[assignment]
    padded = [-(-side // detector.pad_multiple) * detector.pad_multiple for side in size]
    grids = [(-(-padded[0] // stride), -(-padded[1] // stride)) for stride in strides]
    maps = [torch.empty(1, 1, *grid) for grid in grids]
    levels: list[Tensor] = head.anchors_on(maps, Batch(torch.empty(1, 1, *padded), (size,)))  # type: ignore[operator]
    return [level.reshape(*grid, -1, 4) for level, grid in zip(levels, grids, strict=True)]


def best_overlaps(boxes: Tensor, levels: Sequence[Tensor]) -> Tensor:
    """``(N,)`` the best IoU of each box with any anchor of the grids ``(H, W, A, 4)``.

    Of anchors of one shape on a grid, the one whose center is nearest to the box's has the largest overlap, so only that
    one is compared: a few dozen pairs for a box instead of 200,000.
    """
    best = boxes.new_zeros(len(boxes))
    center_x, center_y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    for level in levels:
        for place in range(level.shape[2]):
            x = _nearest(level[0, :, place, 0::2].mean(-1), center_x)
            y = _nearest(level[:, 0, place, 1::2].mean(-1), center_y)
            best = torch.maximum(best, _paired_iou(boxes, level[y, x, place]))
    return best


def _nearest(locations: Tensor, wanted: Tensor) -> Tensor:
    return (locations[None] - wanted[:, None]).abs().argmin(1)


def _paired_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of row with row."""
    sides = torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])
    shared = sides.clamp(min=0).prod(1)
    return shared / (box_area(first) + box_area(second) - shared)


def _row(name: str, best: Tensor) -> AnchorRecall:
    if not len(best):
        return AnchorRecall(name, 0, float("nan"), float("nan"), float("nan"))
    shares = [float((best >= overlap).float().mean()) for overlap in (0.5, 0.7)]
    return AnchorRecall(name, len(best), float(best.mean()), *shares)
