"""Box arithmetic on ``(..., 4)`` tensors: ``x1 y1 x2 y2`` unless a name states otherwise, continuous pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from detkit.structures import Size


def xywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Convert corner and size (COCO's order) to two corners."""
    x, y, width, height = boxes.unbind(-1)
    return torch.stack((x, y, x + width, y + height), -1)


def xyxy_to_xywh(boxes: Tensor) -> Tensor:
    """Convert two corners to corner and size (COCO's order)."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((x1, y1, x2 - x1, y2 - y1), -1)


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Convert center and size to two corners."""
    centers, half_sizes = boxes[..., :2], 0.5 * boxes[..., 2:]
    return torch.cat((centers - half_sizes, centers + half_sizes), -1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Convert two corners to center and size."""
    corners = boxes[..., :2]
    sizes = boxes[..., 2:] - corners
    return torch.cat((corners + 0.5 * sizes, sizes), -1)


def box_area(boxes: Tensor) -> Tensor:
    """Area of each box in square pixels, shape ``(...)``."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def clip_boxes(boxes: Tensor, size: Size) -> Tensor:
    """Clip boxes to an image of ``size`` (height, width); a box entirely outside ends with no area."""
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)), -1)


def valid_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """``(...)`` bool: both sides are at least ``min_size`` pixels; False also where a coordinate is NaN."""
    return (boxes[..., 2] - boxes[..., 0] >= min_size) & (boxes[..., 3] - boxes[..., 1] >= min_size)


def intersection(first: Tensor, second: Tensor) -> Tensor:
    """``(N, M)`` intersection areas in square pixels of ``(N, 4)`` and ``(M, 4)`` boxes."""
    first, second = first.float(), second.float()
    width = (torch.minimum(first[:, None, 2], second[:, 2]) - torch.maximum(first[:, None, 0], second[:, 0])).clamp_(min=0)
    height = (torch.minimum(first[:, None, 3], second[:, 3]) - torch.maximum(first[:, None, 1], second[:, 1])).clamp_(min=0)
    return width * height


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """``(N, M)`` IoU of ``(N, 4)`` and ``(M, 4)`` boxes; 0 where neither has an area."""
    shared = intersection(first, second)
    union = box_area(first.float())[:, None] + box_area(second.float()) - shared
    return shared / union.clamp_(min=torch.finfo(torch.float32).tiny)


class Overlap(NamedTuple):
    """Areas ``(...)`` of the intersection and the union of pairs of boxes, and the sides of the box that encloses both."""

    intersection: Tensor
    union: Tensor
    width: Tensor
    height: Tensor


def paired_overlap(first: Tensor, second: Tensor) -> Overlap:
    """Overlap of ``(..., 4)`` boxes, each with the matching row."""
    inner = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    outer = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])
    shared = inner.clamp(min=0).prod(-1)
    return Overlap(shared, box_area(first) + box_area(second) - shared, outer[..., 0], outer[..., 1])


def paired_iou(first: Tensor, second: Tensor) -> Tensor:
    """``(...)`` IoU of ``(..., 4)`` boxes, each with the matching row; 0 where neither has an area."""
    overlap = paired_overlap(first, second)
    return overlap.intersection / overlap.union.clamp(min=torch.finfo(torch.float32).tiny)


def crowd_overlap(boxes: Tensor, crowds: Tensor) -> Tensor:
    """``(N, M)`` fraction of each of ``(N, 4)`` boxes inside each of ``(M, 4)`` crowd regions, COCO's overlap for crowds."""
    return intersection(boxes, crowds) / box_area(boxes.float()).clamp_(min=torch.finfo(torch.float32).tiny)[:, None]
