"""Losses in float32: sums, or one number per row for box losses; the caller divides by a normalizer shared by all processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from detkit.ops.boxes import paired_overlap, xyxy_to_cxcywh

EPSILON = 1e-7
"""Keeps quotients of areas finite (torchvision's constant)."""


def smooth_l1(deltas: Tensor, target: Tensor, beta: float) -> Tensor:
    """Smooth L1 summed over all elements: quadratic below ``beta``, linear above (Fast R-CNN, arXiv:1504.08083, section 2.3)."""
    return functional.smooth_l1_loss(deltas.float(), target.float(), beta=beta, reduction="sum")


def binary_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy of logits, summed over all elements; ``target`` is in [0, 1]."""
    return functional.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="sum")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Softmax cross entropy of ``(N, C)`` logits with ``(N,)`` labels, summed over rows."""
    return functional.cross_entropy(logits.float(), labels, reduction="sum")


def sigmoid_focal(logits: Tensor, target: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss summed over all elements; ``target`` is in [0, 1].

    The cross entropy of an element is multiplied by ``(1 - p) ** gamma``, where ``p`` is the probability it gives to the target,
    and by ``alpha`` where the target is 1, ``1 - alpha`` where it is 0. Source: RetinaNet (arXiv:1708.02002), equation 5.
    """
    logits, target = logits.float(), target.float()
    probabilities = logits.sigmoid()
    error = probabilities + target - 2 * probabilities * target
    weights = (1 - alpha) + (2 * alpha - 1) * target
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (weights * error**gamma * entropy).sum()


def iou_loss(boxes: Tensor, target: Tensor) -> Tensor:
    """``(N,)`` 1 - IoU of ``(N, 4)`` boxes and targets, row by row; no gradient where they do not intersect."""
    shared, union, _, _ = paired_overlap(boxes.float(), target.float())
    return 1 - shared / (union + EPSILON)


def log_iou_loss(boxes: Tensor, target: Tensor) -> Tensor:
    """``(N,)`` -ln(IoU); no gradient where they do not intersect. Source: UnitBox (arXiv:1608.01471), equation 2."""
    shared, union, _, _ = paired_overlap(boxes.float(), target.float())
    return -(shared / (union + EPSILON)).clamp(min=EPSILON).log()


def giou_loss(boxes: Tensor, target: Tensor) -> Tensor:
    """``(N,)`` 1 - generalized IoU, which adds the fraction of the enclosing box that neither fills. Source: arXiv:1902.09630."""
    shared, union, width, height = paired_overlap(boxes.float(), target.float())
    enclosing = width * height
    return 1 - shared / (union + EPSILON) + (enclosing - union) / (enclosing + EPSILON)


def diou_loss(boxes: Tensor, target: Tensor) -> Tensor:
    """``(N,)`` 1 - IoU + (distance of the centers / diagonal of the enclosing box)^2. Source: arXiv:1911.08287, equation 7."""
    boxes, target = boxes.float(), target.float()
    shared, union, width, height = paired_overlap(boxes, target)
    distance = (xyxy_to_cxcywh(boxes) - xyxy_to_cxcywh(target))[..., :2].square().sum(-1)
    return 1 - shared / (union + EPSILON) + distance / (width.square() + height.square() + EPSILON)


def ciou_loss(boxes: Tensor, target: Tensor) -> Tensor:
    """``(N,)`` :func:`diou_loss` plus a penalty on the aspect ratio. Source: arXiv:1911.08287, equations 8 to 11."""
    boxes, target = boxes.float(), target.float()
    penalty = (_aspect_angle(target) - _aspect_angle(boxes)).square() * (4 / math.pi**2)
    with torch.no_grad():
        weight = penalty / (iou_loss(boxes, target) + penalty + EPSILON)
    return diou_loss(boxes, target) + weight * penalty


BoxLossName = Literal["iou", "log_iou", "giou", "diou", "ciou"]

BOX_LOSSES: Mapping[BoxLossName, Callable[[Tensor, Tensor], Tensor]] = {
    "iou": iou_loss,
    "log_iou": log_iou_loss,
    "giou": giou_loss,
    "diou": diou_loss,
    "ciou": ciou_loss,
}
"""Losses on decoded boxes, by their names in configs."""


def _aspect_angle(boxes: Tensor) -> Tensor:
    """``(N,)`` arctangent of width / height in radians; the gradient stays finite for a box without a height."""
    width, height = xyxy_to_cxcywh(boxes)[..., 2:].unbind(-1)
    return torch.atan(width / height.clamp(min=EPSILON))


def zero_loss(*tensors: Tensor) -> Tensor:
    """A loss of 0 that keeps ``tensors`` in the graph, for a step without training examples."""
    return torch.stack([tensor.float().sum() * 0.0 for tensor in tensors]).sum()
