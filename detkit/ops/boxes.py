"""Arithmetic on boxes: ``(..., 4)`` tensors, ``x1 y1 x2 y2`` unless a name says otherwise, continuous pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from detkit.structures import Size


def xywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Corner and size (COCO's order) to two corners."""
    x, y, width, height = boxes.unbind(-1)
    return torch.stack((x, y, x + width, y + height), -1)


def xyxy_to_xywh(boxes: Tensor) -> Tensor:
    """Two corners to corner and size (COCO's order)."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((x1, y1, x2 - x1, y2 - y1), -1)


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """Center and size to two corners."""
    x, y, width, height = boxes.unbind(-1)
    return torch.stack((x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height), -1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """Two corners to center and size."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    width, height = x2 - x1, y2 - y1
    return torch.stack((x1 + 0.5 * width, y1 + 0.5 * height, width, height), -1)


def box_area(boxes: Tensor) -> Tensor:
    """``(...)`` square pixels."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def clip_boxes(boxes: Tensor, size: Size) -> Tensor:
    """The part of each box inside an image of ``size`` (height, width); one wholly outside keeps no area."""
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)), -1)


def valid_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """``(...)`` bool: both sides are at least ``min_size`` pixels; false also where a coordinate is not a number."""
    return (boxes[..., 2] - boxes[..., 0] >= min_size) & (boxes[..., 3] - boxes[..., 1] >= min_size)


def intersection(first: Tensor, second: Tensor) -> Tensor:
    """``(N, M)`` square pixels that ``(N, 4)`` and ``(M, 4)`` boxes share, pair by pair."""
    first, second = first.float(), second.float()
    width = (torch.minimum(first[:, None, 2], second[:, 2]) - torch.maximum(first[:, None, 0], second[:, 0])).clamp_(min=0)
    height = (torch.minimum(first[:, None, 3], second[:, 3]) - torch.maximum(first[:, None, 1], second[:, 1])).clamp_(min=0)
    return width * height


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """``(N, M)`` intersection over union of ``(N, 4)`` and ``(M, 4)`` boxes; 0 where neither has an area."""
    shared = intersection(first, second)
    union = box_area(first.float())[:, None] + box_area(second.float()) - shared
    return shared / union.clamp_(min=torch.finfo(torch.float32).tiny)


def paired_iou(first: Tensor, second: Tensor) -> Tensor:
    """``(...)`` intersection over union of ``(..., 4)`` boxes, each with its fellow; 0 where neither has an area."""
    sides = (torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])).clamp(min=0)
    shared = sides.prod(-1)
    return shared / (box_area(first) + box_area(second) - shared).clamp(min=torch.finfo(torch.float32).tiny)


def crowd_overlap(boxes: Tensor, crowds: Tensor) -> Tensor:
    """``(N, M)`` share of each of ``(N, 4)`` boxes that lies inside each of ``(M, 4)`` crowd regions, as COCO measures crowds."""
    return intersection(boxes, crowds) / box_area(boxes.float()).clamp_(min=torch.finfo(torch.float32).tiny)[:, None]
