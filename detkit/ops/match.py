"""Which anchor answers for which target: one idea with several rules.

Every rule gives one number an anchor: the row of its target, or :data:`BELOW` (background) or :data:`BETWEEN` (left out
of the loss). Crowds are never matched, and background anchors mostly inside one are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from detkit.ops.boxes import box_iou, crowd_overlap
from detkit.structures import Targets

BACKGROUND = -1
"""The anchor answers for background."""
IGNORE = -2
"""The anchor answers for nothing and is left out of the loss."""

CROWD_SHARE = 0.5
"""A background anchor with more of its area than this inside a crowd is left out."""


def match_by_iou(
    anchors: Tensor,
    targets: Targets,
    *,
    positive_iou: float,
    negative_iou: float,
    allow_low_quality: bool = False,
    min_negative_iou: float = 0.0,
) -> Tensor:
    """``(N,)`` int64, for ``(N, 4)`` anchors the row of the target each overlaps most.

    An IoU of at least ``positive_iou`` makes a match, one below ``negative_iou`` background; with ``allow_low_quality`` the best
    anchors of every target are matched however low their IoU (Faster R-CNN, arXiv:1506.01497, section 3.1.2), to the target
    they overlap most themselves. Where there are targets, anchors whose best IoU is below ``min_negative_iou`` are left out: too easy
    (Fast R-CNN, arXiv:1504.08083, section 2.3).
    """
    overlaps = box_iou(targets.boxes, anchors)
    overlaps[targets.is_crowd] = -1.0
    assignment = match_overlaps(overlaps, positive_iou=positive_iou, negative_iou=negative_iou, allow_low_quality=allow_low_quality)
    if min_negative_iou > 0 and bool((~targets.is_crowd).any()):
        assignment[(assignment == BACKGROUND) & (overlaps.amax(0) < min_negative_iou)] = IGNORE
    return ignore_crowds(assignment, anchors, targets)


def match_overlaps(overlaps: Tensor, *, positive_iou: float, negative_iou: float, allow_low_quality: bool = False) -> Tensor:
    """The rule of :func:`match_by_iou` on an ``(M, N)`` table of overlaps between targets and anchors."""
    if overlaps.shape[0] == 0:
        return torch.full((overlaps.shape[1],), BACKGROUND, dtype=torch.int64, device=overlaps.device)
    best, nearest = overlaps.max(0)
    assignment = nearest.masked_fill(best < positive_iou, IGNORE).masked_fill_(best < negative_iou, BACKGROUND)
    if allow_low_quality and overlaps.shape[1]:
        target_best = overlaps.amax(1, keepdim=True)
        selection = ((overlaps == target_best) & (target_best > 0)).any(0)
        assignment = torch.where(selection, nearest, assignment)
    return assignment


def match_every_target(anchors: Tensor, targets: Targets, *, positive_iou: float) -> Tensor:
    """SSD's rule (arXiv:1512.02325, section 2.2): an IoU of ``positive_iou`` makes a match, and each target has its best anchor anyway.

    Of several targets with one best anchor the last has it (as in torchvision); a target that overlaps no anchor has none.
    """
    overlaps = box_iou(targets.boxes, anchors)
    overlaps[targets.is_crowd] = -1.0
    assignment = match_overlaps(overlaps, positive_iou=positive_iou, negative_iou=positive_iou)
    if overlaps.numel():
        best, anchor = overlaps.max(1)
        rows = (best > 0).nonzero().flatten()
        assignment.scatter_reduce_(0, anchor[rows], rows, "amax", include_self=False)
    return ignore_crowds(assignment, anchors, targets)


def ignore_crowds(assignment: Tensor, anchors: Tensor, targets: Targets) -> Tensor:
    """The matches with background anchors that lie mostly inside a crowd left out."""
    crowds = targets.boxes[targets.is_crowd]
    if not len(crowds):
        return assignment
    inside = (crowd_overlap(anchors, crowds) > CROWD_SHARE).any(1)
    return torch.where(inside & (assignment == BACKGROUND), IGNORE, assignment)


def class_targets(assignment: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """``(N, K)`` float32: 1 at the class of the target that each of ``(N,)`` matches names, 0 elsewhere."""
    wanted = torch.zeros(len(assignment), num_classes, device=assignment.device)
    positive = (assignment >= 0).nonzero().flatten()
    wanted[positive, labels[assignment[positive]]] = 1.0
    return wanted
