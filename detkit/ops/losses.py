"""Losses as sums (of boxes: one number a row) in float32; whoever calls divides by a normalizer that all processes agree on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from detkit.ops.boxes import box_area, xyxy_to_cxcywh

EPSILON = 1e-7
"""Keeps quotients of areas finite (torchvision's constant)."""


def smooth_l1(deltas: Tensor, wanted: Tensor, beta: float) -> Tensor:
    """Sum over all elements: quadratic below ``beta``, linear above. Source: Fast R-CNN (arXiv:1504.08083), section 2.3."""
    return functional.smooth_l1_loss(deltas.float(), wanted.float(), beta=beta, reduction="sum")


def binary_cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Sum over all elements of the cross entropy of sigmoids with ``wanted`` in [0, 1]."""
    return functional.binary_cross_entropy_with_logits(logits.float(), wanted.float(), reduction="sum")


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over rows of the cross entropy of softmaxes ``(N, C)`` with ``(N,)`` labels."""
    return functional.cross_entropy(logits.float(), labels, reduction="sum")


def sigmoid_focal(logits: Tensor, wanted: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sum over all elements of the focal loss of sigmoids with ``wanted`` in [0, 1].

    An element's cross entropy counts times ``(1 - p) ** gamma``, where ``p`` is what it gives to the truth, and times ``alpha``
    where the truth is 1, ``1 - alpha`` where it is 0. Source: RetinaNet (arXiv:1708.02002), equation 5.
    """
    logits, wanted = logits.float(), wanted.float()
    probabilities = logits.sigmoid()
    wrong = probabilities + wanted - 2 * probabilities * wanted
    weights = (1 - alpha) + (2 * alpha - 1) * wanted
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (weights * wrong**gamma * entropy).sum()


def iou_loss(boxes: Tensor, wanted: Tensor) -> Tensor:
    """``(N,)`` 1 - IoU, pair by pair, of ``(N, 4)`` boxes; no gradient where they do not touch."""
    shared, union, _, _ = _overlap(boxes.float(), wanted.float())
    return 1 - shared / (union + EPSILON)


def log_iou_loss(boxes: Tensor, wanted: Tensor) -> Tensor:
    """``(N,)`` -ln(IoU); no gradient where they do not touch. Source: UnitBox (arXiv:1608.01471), equation 2."""
    shared, union, _, _ = _overlap(boxes.float(), wanted.float())
    return -(shared / (union + EPSILON)).clamp(min=EPSILON).log()


def giou_loss(boxes: Tensor, wanted: Tensor) -> Tensor:
    """``(N,)`` 1 - generalized IoU: also the share of the box round both that neither fills. Source: arXiv:1902.09630."""
    shared, union, width, height = _overlap(boxes.float(), wanted.float())
    around = width * height
    return 1 - shared / (union + EPSILON) + (around - union) / (around + EPSILON)


def diou_loss(boxes: Tensor, wanted: Tensor) -> Tensor:
    """``(N,)`` 1 - IoU + the centers' distance over the diagonal round both, squared. Source: arXiv:1911.08287, equation 7."""
    boxes, wanted = boxes.float(), wanted.float()
    shared, union, width, height = _overlap(boxes, wanted)
    nms_per = (xyxy_to_cxcywh(boxes) - xyxy_to_cxcywh(wanted))[..., :2].square().sum(-1)
    return 1 - shared / (union + EPSILON) + nms_per / (width.square() + height.square() + EPSILON)


def ciou_loss(boxes: Tensor, wanted: Tensor) -> Tensor:
    """``(N,)`` as :func:`diou_loss`, and how the shapes differ. Source: arXiv:1911.08287, equations 8 to 11."""
    boxes, wanted = boxes.float(), wanted.float()
    shape = (_slant(wanted) - _slant(boxes)).square() * (4 / math.pi**2)
    with torch.no_grad():
        share = shape / (iou_loss(boxes, wanted) + shape + EPSILON)
    return diou_loss(boxes, wanted) + share * shape


BoxLossName = Literal["iou", "log_iou", "giou", "diou", "ciou"]

BOX_LOSSES: Mapping[BoxLossName, Callable[[Tensor, Tensor], Tensor]] = {
    "iou": iou_loss,
    "log_iou": log_iou_loss,
    "giou": giou_loss,
    "diou": diou_loss,
    "ciou": ciou_loss,
}
"""The losses that compare decoded boxes, by the names that configs give them."""


def _slant(boxes: Tensor) -> Tensor:
    """``(N,)`` radians: the arc tangent of width over height; a box without a height keeps a finite gradient."""
    width, height = xyxy_to_cxcywh(boxes)[..., 2:].unbind(-1)
    return torch.atan(width / height.clamp(min=EPSILON))


def _overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``(N,)`` each: intersection and union, pair by pair, and width and height of the box round both."""
    inner = torch.minimum(first[..., 2:], second[..., 2:]) - torch.maximum(first[..., :2], second[..., :2])
    outer = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(first[..., :2], second[..., :2])
    shared = inner.clamp(min=0).prod(-1)
    return shared, box_area(first) + box_area(second) - shared, outer[..., 0], outer[..., 1]


def nothing(*tensors: Tensor) -> Tensor:
    """A loss of 0 that keeps ``tensors`` in the graph, for a step with nothing to learn from."""
    return torch.stack([tensor.float().sum() * 0.0 for tensor in tensors]).sum()
