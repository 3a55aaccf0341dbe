"""Which point answers for which target: the rule of detectors without anchors that learn from all points inside an object."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from detkit.ops.boxes import box_area
from detkit.ops.coder import to_distances
from detkit.ops.match import BACKGROUND, IGNORE
from detkit.structures import Targets


def match_points(
    points: Sequence[Tensor], targets: Targets, *, strides: Sequence[float], center_radius: float | None = None, regress_range: float = 8.0
) -> Tensor:
    """``(N,)`` int64, for the ``(N_l, 2)`` points of all levels the row of the target each answers for.

    A point answers for the smallest target that it lies inside of, near the middle of, and that is of its level's size; the
    first among equals. Other points are background, or left out where they lie inside a crowd. Source: FCOS
    (arXiv:1904.01355), sections 3.1 and 3.2; the middle: arXiv:2006.09214, section 2.1.

    Args:
        points: For each level ``x y`` in pixels, finest first.
        targets: What the image shows.
        strides: Pixels between the points of each level.
        center_radius: Most strides from the center of a target, in x and in y; None: the whole target counts.
        regress_range: A level answers for targets whose farthest side is less than so many strides away, and more than half as many;
            the finest also for nearer ones, the coarsest for any farther.
    """
    rows = torch.cat(list(points))
    if not len(targets):
        return torch.full((len(rows),), BACKGROUND, device=rows.device)
    distances = to_distances(targets.boxes, rows[:, None])
    inside = distances.amin(2) > 0
    stride, least, most = _of_every_point(points, strides, regress_range)
    farthest = distances.amax(2)
    mine = inside & (farthest > least[:, None]) & (farthest < most[:, None]) & ~targets.is_crowd
    if center_radius is not None:
        centers = (targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2
        mine &= (rows[:, None] - centers).abs().amax(2) < center_radius * stride[:, None]
    areas, nearest = torch.where(mine, box_area(targets.boxes), torch.inf).min(1)
    background = torch.where((inside & targets.is_crowd).any(1), IGNORE, BACKGROUND)
    return torch.where(areas.isinf(), background, nearest)


def _of_every_point(points: Sequence[Tensor], strides: Sequence[float], regress_range: float) -> tuple[Tensor, Tensor, Tensor]:
    """``(N,)`` each: the stride, and between which distances the farthest side of a target must lie."""
    stride = [float(value) for value in strides]
    least = [0.0, *(value * regress_range / 2 for value in stride[1:])]
    most = [*(value * regress_range for value in stride[:-1]), torch.inf]
    counts = torch.tensor([len(level) for level in points], device=points[0].device)
    table = torch.tensor((stride, least, most), device=points[0].device).repeat_interleave(counts, 1)
    return table[0], table[1], table[2]
