"""SimOTA, which gives every object as many places as its predictions deserve (YOLOX, arXiv:2107.08430, section 2.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from detkit.ops.boxes import box_iou
from detkit.ops.match import BACKGROUND, ignore_crowds
from detkit.structures import Targets

CANDIDATES = 10
"""An object gets as many places as the IoUs of its best so many add up to (the code's ``n_candidate_k``)."""
FAR = 1e6
"""What it costs to take a place that is not near the object (the code's constant)."""


@torch.no_grad()
def match_simota(
    points: Tensor,
    reach: Tensor,
    boxes: Tensor,
    scores: Tensor,
    targets: Targets,
    *,
    iou_weight: float = 3.0,
    center_inside_box: bool = False,
) -> Tensor:
    """``(N,)`` int64, for each place the row of the target it answers for, or ``BELOW`` or ``BETWEEN``.

    Places that are near some object compete for all objects: what one costs an object is the cross entropy of its score, ``iou_weight``
    times ``-log`` of its IoU, and much if it is not near this object.

    Args:
        points: ``(N, 2)`` centers of the places.
        reach: ``(N,)`` pixels: a place is near the objects whose centers are closer than this along both axes.
        boxes: ``(N, 4)`` predicted boxes.
        scores: ``(N, K)`` predicted probabilities.
        targets: The truth; crowds get no place.
        iou_weight: What the IoU counts beside the class.
        center_inside_box: As the first release of the code has it: places inside some object's box compete too, and near is what is both.
    """
    assignment = torch.full((len(points),), BACKGROUND, dtype=torch.int64, device=points.device)
    objects = (~targets.is_crowd).nonzero().flatten()
    wanted, labels = targets.boxes[objects], targets.labels[objects]
    near, competes = _near(points, reach, wanted, center_inside_box)
    rows = competes.nonzero().flatten()
    if len(rows):
        overlaps = box_iou(wanted, boxes[rows])
        cost = class_cost(scores[rows], labels) - iou_weight * torch.log(overlaps + 1e-8) + FAR * ~near[:, rows]
        selection = assign(cost, overlaps)
        assignment[rows[selection >= 0]] = objects[selection[selection >= 0]]
    return ignore_crowds(assignment, torch.cat((points - 0.5, points + 0.5), 1), targets)


def class_cost(scores: Tensor, labels: Tensor) -> Tensor:
    """``(M, n)``: the cross entropy of ``(n, K)`` probabilities with each of ``(M,)`` labels, summed over classes."""
    scores = scores.float()
    absent = -torch.log1p(-scores).clamp(min=-100)
    present = -torch.log(scores).clamp(min=-100)
    return (absent.sum(1, keepdim=True) + present - absent).T[labels]


def assign(cost: Tensor, overlaps: Tensor) -> Tensor:
    """``(n,)`` int64: which of M objects each of n places answers for, -1 for none, from ``(M, n)`` costs and IoUs.

    Every object takes its cheapest places, as many as the IoUs of its best :data:`CANDIDATES` add up to, at least one; a place that several
    took goes to the object that it costs least.
    """
    most = min(CANDIDATES, overlaps.shape[1])
    counts = overlaps.topk(most, 1).values.sum(1).int().clamp(1, most)
    taken = cheapest(cost, counts, most)
    takers = taken.sum(0)
    owner = torch.where(takers > 1, cost.argmin(0), taken.int().argmax(0))
    return torch.where(takers > 0, owner, -1)


def cheapest(cost: Tensor, counts: Tensor, most: int) -> Tensor:
    """``(M, n)`` bool: of each row of ``(M, n)`` costs its ``(M,)`` cheapest, from 1 to ``most``; of the same costs the first ones.

    That is what a stable sort of every row would choose, in a sixth of the time. Far places cost so much that many cost the same.
    """
    cost = cost.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)  # no number is the dearest, as in a sort
    last = cost.topk(most, 1, largest=False).values.gather(1, counts[:, None].long() - 1)
    below, equal = cost < last, cost == last
    left = counts[:, None] - below.sum(1, keepdim=True)
    return below | (equal & (equal.cumsum(1, dtype=torch.int32) <= left))


def _near(points: Tensor, reach: Tensor, boxes: Tensor, center_inside_box: bool) -> tuple[Tensor, Tensor]:
    """``(M, N)``: whether a place is near an object; ``(N,)``: whether it competes."""
    centers = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    central = ((points - centers).abs() < reach[:, None]).all(-1)
    if not center_inside_box:
        return central, central.any(0)
    within = ((points > boxes[:, None, :2]) & (points < boxes[:, None, 2:])).all(-1)
    return central & within, (central | within).any(0)
