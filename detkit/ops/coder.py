"""Encoding of boxes as regression targets.

Relative to an anchor: the shift of the center in units of the anchor's size, and the logarithm of the change in size. Relative to
a point: the distances to the four sides.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from detkit.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh

Weights = tuple[float, float, float, float]

MAX_LOG_SCALE = math.log(1000 / 16)
"""Upper limit of the log size ratio when decoding, so that ``exp`` stays finite (Detectron's constant)."""


def encode(boxes: Tensor, anchors: Tensor, weights: Weights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Return the deltas ``(..., 4)`` that turn ``anchors`` into ``boxes``, times ``weights`` for x, y, width and height.

    Anchors and boxes must have a nonzero area. Source: R-CNN (arXiv:1311.2524), appendix C; the weights are Fast R-CNN's
    normalization of targets.
    """
    x, y, width, height = xyxy_to_cxcywh(boxes.float()).unbind(-1)
    anchor_x, anchor_y, anchor_width, anchor_height = xyxy_to_cxcywh(anchors.float()).unbind(-1)
    return torch.stack(
        (
            weights[0] * (x - anchor_x) / anchor_width,
            weights[1] * (y - anchor_y) / anchor_height,
            weights[2] * torch.log(width / anchor_width),
            weights[3] * torch.log(height / anchor_height),
        ),
        -1,
    )


def decode(deltas: Tensor, anchors: Tensor, weights: Weights = (1.0, 1.0, 1.0, 1.0)) -> Tensor:
    """Return the boxes ``(..., 4)`` of ``deltas`` and ``anchors``, whose shapes must broadcast; the inverse of :func:`encode`."""
    deltas, anchors = deltas.float(), xyxy_to_cxcywh(anchors.float())
    shifts, scales = _divided(deltas[..., :2], (weights[0], weights[1])), _divided(deltas[..., 2:], (weights[2], weights[3]))
    sizes = anchors[..., 2:]
    centers = shifts * sizes + anchors[..., :2]
    return cxcywh_to_xyxy(torch.cat((centers, torch.exp(scales.clamp(max=MAX_LOG_SCALE)) * sizes), -1))


def _divided(values: Tensor, weights: tuple[float, float]) -> Tensor:
    """Divide two columns by their weights; by a number where these are equal, as it needs no copy to a GPU."""
    return values / (weights[0] if weights[0] == weights[1] else values.new_tensor(weights))


def to_distances(boxes: Tensor, points: Tensor) -> Tensor:
    """Pixels ``(..., 4)`` from ``(..., 2)`` points to the left, top, right and bottom side; negative outside (FCOS, equation 1)."""
    return torch.cat((points - boxes[..., :2], boxes[..., 2:] - points), -1)


def from_distances(distances: Tensor, points: Tensor) -> Tensor:
    """Boxes ``(..., 4)`` whose sides are at these distances from ``points``; the inverse of :func:`to_distances`."""
    return torch.cat((points - distances[..., :2], points + distances[..., 2:]), -1)
