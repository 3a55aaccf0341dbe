"""SimOTA: dynamic assignment by the cost of the current predictions (YOLOX, arXiv:2107.08430, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from detkit.ops.boxes import box_iou
from detkit.ops.match import BACKGROUND, ignore_crowds
from detkit.structures import Targets

CANDIDATE_K = 10
"""A target gets as many points as the sum of its this many highest IoUs (the code's ``n_candidate_k``)."""
FAR_COST = 1e6
"""Cost of a point that is not near the target (the code's constant)."""


@torch.no_grad()
def match_simota(
    points: Tensor,
    radius: Tensor,
    boxes: Tensor,
    scores: Tensor,
    targets: Targets,
    *,
    iou_weight: float = 3.0,
    center_inside_box: bool = False,
) -> Tensor:
    """Assign N points to targets by the cost of their predictions.

    The points near any target are candidates for all targets. The cost of a point for a target is the cross entropy of its score,
    plus ``iou_weight`` times ``-log`` of its IoU, plus :data:`FAR_COST` if it is not near this target.

    Args:
        points: ``(N, 2)`` point coordinates.
        radius: ``(N,)`` pixels: a point is near the targets whose centers are closer than this along both axes.
        boxes: ``(N, 4)`` predicted boxes.
        scores: ``(N, K)`` predicted probabilities.
        targets: Ground truth; crowds are never matched.
        iou_weight: Weight of the IoU cost relative to the classification cost.
        center_inside_box: Follow the first release of the code: points inside any target's box are candidates too, and a point is
            near only the targets that meet both conditions.

    Returns:
        ``(N,)`` int64 rows of targets, ``BACKGROUND`` or ``IGNORE``.
    """
    assignment = torch.full((len(points),), BACKGROUND, dtype=torch.int64, device=points.device)
    objects = (~targets.is_crowd).nonzero().flatten()
    target_boxes, labels = targets.boxes[objects], targets.labels[objects]
    near, is_candidate = _near(points, radius, target_boxes, center_inside_box)
    rows = is_candidate.nonzero().flatten()
    if len(rows):
        ious = box_iou(target_boxes, boxes[rows])
        cost = class_cost(scores[rows], labels) - iou_weight * torch.log(ious + 1e-8) + FAR_COST * ~near[:, rows]
        matched = dynamic_k_assignment(cost, ious)
        assignment[rows[matched >= 0]] = objects[matched[matched >= 0]]
    return ignore_crowds(assignment, points, targets)


def class_cost(scores: Tensor, labels: Tensor) -> Tensor:
    """``(M, n)`` cross entropy of ``(n, K)`` probabilities with each of ``(M,)`` labels, summed over classes."""
    scores = scores.float()
    absent = -torch.log1p(-scores).clamp(min=-100)
    present = -torch.log(scores).clamp(min=-100)
    return (absent.sum(1, keepdim=True) + present - absent).T[labels]


def dynamic_k_assignment(cost: Tensor, ious: Tensor) -> Tensor:
    """``(n,)`` int64 index of the target of each of n candidates, -1 for none, from ``(M, n)`` costs and IoUs.

    Every target takes its cheapest candidates: as many as the sum of its :data:`CANDIDATE_K` highest IoUs, at least one. A candidate
    taken by several targets goes to the target with the lowest cost.
    """
    max_count = min(CANDIDATE_K, ious.shape[1])
    counts = ious.topk(max_count, 1).values.sum(1).int().clamp(1, max_count)
    matched = cheapest(cost, counts, max_count)
    num_targets = matched.sum(0)
    target = torch.where(num_targets > 1, cost.argmin(0), matched.int().argmax(0))
    return torch.where(num_targets > 0, target, -1)


def cheapest(cost: Tensor, counts: Tensor, max_count: int) -> Tensor:
    """``(M, n)`` bool: the ``(M,)`` cheapest entries of each row of ``(M, n)`` costs, 1 to ``max_count``; of equal costs the first.

    The result equals that of a stable sort of every row, in a sixth of the time. Ties are common, because of the large cost of
    points that are not near.
    """
    cost = cost.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)  # NaN counts as the highest cost, as in a sort
    last = cost.topk(max_count, 1, largest=False).values.gather(1, counts[:, None].long() - 1)
    below, equal = cost < last, cost == last
    remaining = counts[:, None] - below.sum(1, keepdim=True)
    return below | (equal & (equal.cumsum(1, dtype=torch.int32) <= remaining))


def _near(points: Tensor, radius: Tensor, boxes: Tensor, center_inside_box: bool) -> tuple[Tensor, Tensor]:
    """``(M, N)``: whether each point is near each target; ``(N,)``: whether it is a candidate."""
    centers = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    central = ((points - centers).abs() < radius[:, None]).all(-1)
    if not center_inside_box:
        return central, central.any(0)
    within = ((points > boxes[:, None, :2]) & (points < boxes[:, None, 2:])).all(-1)
    return central & within, (central | within).any(0)
