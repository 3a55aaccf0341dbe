"""Box arithmetic on numpy arrays ``(..., 4)``, ``x1 y1 x2 y2``, for code that runs without PyTorch."""

from __future__ import annotations

import numpy as np

from detkit.arrays import Features


def paired_iou(first: Features, second: Features) -> Features:
    """Return the IoU ``(...)`` of boxes with the matching ones, whose shapes must broadcast; 0 where neither has an area."""
    shared = _intersection(first, second)
    union = _area(first) + _area(second) - shared
    ious: Features = shared / np.maximum(union, np.finfo(shared.dtype).tiny)
    return ious


def covered_fraction(boxes: Features, regions: Features) -> Features:
    """Return the fraction ``(...)`` of the area of boxes that the matching regions cover, COCO's overlap for crowds."""
    shared = _intersection(boxes, regions)
    fractions: Features = shared / np.maximum(_area(boxes), np.finfo(shared.dtype).tiny)
    return fractions


def overlap_of_smaller(first: Features, second: Features) -> Features:
    """Return the intersection ``(...)`` of boxes with the matching ones over the area of the smaller; 0 where one has no area."""
    shared = _intersection(first, second)
    smaller: Features = shared / np.maximum(np.minimum(_area(first), _area(second)), np.finfo(shared.dtype).tiny)
    return smaller


def _intersection(first: Features, second: Features) -> Features:
    (x1, y1, x2, y2), (other_x1, other_y1, other_x2, other_y2) = _columns(first), _columns(second)
    shared = np.maximum(np.minimum(x2, other_x2) - np.maximum(x1, other_x1), 0)
    area: Features = shared * np.maximum(np.minimum(y2, other_y2) - np.maximum(y1, other_y1), 0)
    return area


def _area(boxes: Features) -> Features:
    x1, y1, x2, y2 = _columns(boxes)
    area: Features = (x2 - x1) * (y2 - y1)
    return area


def _columns(boxes: Features) -> tuple[Features, Features, Features, Features]:
    return boxes[..., 0], boxes[..., 1], boxes[..., 2], boxes[..., 3]
