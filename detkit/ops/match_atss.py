"""ATSS: assignment by an IoU threshold that adapts to each target (arXiv:1912.02424, algorithm 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from detkit.ops.boxes import box_iou
from detkit.ops.match import BACKGROUND, ignore_crowds
from detkit.structures import Targets

ANCHOR_STRIDES = 8
"""Side of the anchor of a point, in strides (section 4.1)."""


def square_anchors(points: Sequence[Tensor], strides: Sequence[float]) -> list[Tensor]:
    """Return for the ``(N_l, 2)`` points of each level the ``(N_l, 4)`` squares around them."""
    halves = [stride * ANCHOR_STRIDES / 2 for stride in strides]
    return [torch.cat((level - half, level + half), 1) for level, half in zip(points, halves, strict=True)]


def match_atss(anchors: Sequence[Tensor], targets: Targets, *, top_k: int = 9) -> Tensor:
    """Assign the ``(N_l, 4)`` anchors of all levels to targets.

    The candidates of a target are the ``top_k`` anchors of each level whose centers are nearest to its own. It is assigned those whose
    center is inside it and whose IoU is at least the mean plus the standard deviation of the IoUs of its candidates. An anchor of several
    targets goes to the one with the highest IoU.

    Returns:
        ``(N,)`` int64 rows of targets, ``BACKGROUND`` or ``IGNORE``.
    """
    rows, objects = torch.cat(list(anchors)), (~targets.is_crowd).nonzero().flatten()
    assignment = torch.full((len(rows),), BACKGROUND, device=rows.device)
    if len(objects) and len(rows):
        boxes, centers = targets.boxes[objects], (rows[:, :2] + rows[:, 2:]) / 2
        distances = (centers - (boxes[:, None, :2] + boxes[:, None, 2:]) / 2).square().sum(-1)
        candidates = _nearest(torch.split(distances, [len(level) for level in anchors], 1), top_k)
        ious = box_iou(boxes, rows).gather(1, candidates)
        deviation = ious.std(1, keepdim=True) if candidates.shape[1] > 1 else 0.0
        x, y = centers[candidates].unbind(-1)
        inside = (x > boxes[:, :1]) & (y > boxes[:, 1:2]) & (x < boxes[:, 2:3]) & (y < boxes[:, 3:])
        selected = inside & (ious >= ious.mean(1, keepdim=True) + deviation)
        best, target = ious.new_full((len(objects), len(rows)), -1.0).scatter(1, candidates, ious.where(selected, -1.0)).max(0)
        assignment = torch.where(best >= 0, objects[target], assignment)
    return ignore_crowds(assignment, rows, targets)


def _nearest(distances: Sequence[Tensor], top_k: int) -> Tensor:
    """Return ``(M, n)`` columns, over all levels, of the ``top_k`` lowest of each level's ``(M, N_l)`` distances."""
    columns, start = [], 0
    for level in distances:
        columns.append(level.topk(min(top_k, level.shape[1]), largest=False).indices + start)
        start += level.shape[1]
    return torch.cat(columns, 1)
