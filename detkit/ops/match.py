"""Assignment of targets to anchors.

Every rule returns one number per anchor: the row of its target, :data:`BACKGROUND`, or :data:`IGNORE` (left out of the loss).
Ignore regions, the targets with ``is_crowd``, are never matched, and background anchors mostly inside one are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from detkit.ops.boxes import box_iou, crowd_overlap
from detkit.structures import Size, Targets

BACKGROUND = -1
"""Assignment of an anchor that should predict background."""
IGNORE = -2
"""Assignment of an anchor that is left out of the loss."""

MAX_CROWD_OVERLAP = 0.5
"""Background anchors with more than this fraction of their area inside an ignore region are ignored."""

_AT_EDGE = 1.0
"""Pixels from an edge of the image within which a region counts as ending there."""
_BEYOND = 1e5
"""Pixels by which a region is extended past an edge of the image: farther than any anchor reaches."""


def match_by_iou(
    anchors: Tensor,
    targets: Targets,
    *,
    positive_iou: float,
    negative_iou: float,
    allow_low_quality: bool = False,
    min_negative_iou: float = 0.0,
) -> Tensor:
    """Assign each of ``(N, 4)`` anchors to the target with which it has the highest IoU.

    An anchor is positive at an IoU of at least ``positive_iou``, background below ``negative_iou``, and ignored between the two.
    With ``allow_low_quality`` the best anchors of every target are positive too, however low their IoU (Faster R-CNN,
    arXiv:1506.01497, section 3.1.2); each is assigned to the target with which it has its own highest IoU. If there are targets,
    background anchors whose highest IoU is below ``min_negative_iou`` are ignored as too easy (Fast R-CNN, arXiv:1504.08083,
    section 2.3).

    Returns:
        ``(N,)`` int64 rows of targets, :data:`BACKGROUND` or :data:`IGNORE`.
    """
    ious = box_iou(targets.boxes, anchors)
    ious[targets.is_crowd] = -1.0
    assignment = match_ious(ious, positive_iou=positive_iou, negative_iou=negative_iou, allow_low_quality=allow_low_quality)
    if min_negative_iou > 0 and bool((~targets.is_crowd).any()):
        assignment[(assignment == BACKGROUND) & (ious.amax(0) < min_negative_iou)] = IGNORE
    return ignore_crowds(assignment, anchors, targets)


def match_ious(ious: Tensor, *, positive_iou: float, negative_iou: float, allow_low_quality: bool = False) -> Tensor:
    """Apply the rule of :func:`match_by_iou` to an ``(M, N)`` table of the IoUs of targets and anchors."""
    if ious.shape[0] == 0:
        return torch.full((ious.shape[1],), BACKGROUND, dtype=torch.int64, device=ious.device)
    best, best_target = ious.max(0)
    assignment = best_target.masked_fill(best < positive_iou, IGNORE).masked_fill_(best < negative_iou, BACKGROUND)
    if allow_low_quality and ious.shape[1]:
        target_best = ious.amax(1, keepdim=True)
        is_best = ((ious == target_best) & (target_best > 0)).any(0)
        assignment = torch.where(is_best, best_target, assignment)
    return assignment


def match_every_target(anchors: Tensor, targets: Targets, *, positive_iou: float) -> Tensor:
    """Assign anchors at an IoU of at least ``positive_iou``, and to each target its best anchor whatever the IoU.

    If several targets share their best anchor, the last one gets it (as in torchvision). A target that intersects no anchor gets
    none. Source: SSD (arXiv:1512.02325), section 2.2.
    """
    ious = box_iou(targets.boxes, anchors)
    ious[targets.is_crowd] = -1.0
    assignment = match_ious(ious, positive_iou=positive_iou, negative_iou=positive_iou)
    if ious.numel():
        best, anchor = ious.max(1)
        rows = (best > 0).nonzero().flatten()
        assignment.scatter_reduce_(0, anchor[rows], rows, "amax", include_self=False)
    return ignore_crowds(assignment, anchors, targets)


def mostly_inside_regions(locations: Tensor, targets: Targets) -> Tensor:
    """Return which locations of an image are mostly inside one of its ignore regions, ``(N,)`` bool.

    Args:
        locations: ``(N, 4)`` boxes, or ``(N, 2)`` points, which count as boxes of one pixel.
        targets: Targets of the image; the regions are those with ``is_crowd``, whatever their class.
    """
    boxes = torch.cat((locations - 0.5, locations + 0.5), 1) if locations.shape[1] == 2 else locations
    return (crowd_overlap(boxes, targets.boxes[targets.is_crowd]) > MAX_CROWD_OVERLAP).any(1)


def ignore_crowds(assignment: Tensor, locations: Tensor, targets: Targets) -> Tensor:
    """Return the assignment with background locations :func:`mostly_inside_regions` set to :data:`IGNORE`."""
    if not bool(targets.is_crowd.any()):
        return assignment
    return torch.where(mostly_inside_regions(locations, targets) & (assignment == BACKGROUND), IGNORE, assignment)


def extend_regions(targets: Sequence[Targets], sizes: Sequence[Size]) -> list[Targets]:
    """Extend the ignore regions that reach an edge of their image past it, for a loss; other targets are unchanged.

    Anchors stick out of the image, and padding has anchors of its own: where a region ends at the edge, nothing is learned from them.

    Args:
        targets: Targets of each image.
        sizes: ``(height, width)`` of each image without padding.
    """
    return [_extended(rows, size) for rows, size in zip(targets, sizes, strict=True)]


def _extended(targets: Targets, size: Size) -> Targets:
    boxes, far = targets.boxes, targets.boxes.new_tensor([size[1], size[0]])
    low = torch.where(boxes[:, :2] <= _AT_EDGE, -_BEYOND, boxes[:, :2])
    high = torch.where(boxes[:, 2:] >= far - _AT_EDGE, far + _BEYOND, boxes[:, 2:])
    return targets.replace(boxes=torch.where(targets.is_crowd[:, None], torch.cat((low, high), 1), boxes))


def class_targets(assignment: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """One-hot classes ``(N, K)`` float32 of the targets in an ``(N,)`` assignment; all 0 for rows without a target."""
    one_hot = torch.zeros(len(assignment), num_classes, device=assignment.device)
    positive = (assignment >= 0).nonzero().flatten()
    one_hot[positive, labels[assignment[positive]]] = 1.0
    return one_hot
