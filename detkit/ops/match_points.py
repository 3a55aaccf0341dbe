"""Assignment of targets to points, for anchor-free detectors that learn from every point inside an object."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from detkit.ops.boxes import box_area
from detkit.ops.coder import to_distances
from detkit.ops.match import BACKGROUND, ignore_crowds
from detkit.structures import Targets


def match_points(
    points: Sequence[Tensor], targets: Targets, *, strides: Sequence[float], center_radius: float | None = None, regress_range: float = 8.0
) -> Tensor:
    """Assign the ``(N_l, 2)`` points of all levels to targets.

    A point is assigned to the smallest target that contains it, whose center is near, and whose size suits the point's level; to the
    first of several equal ones. Other points are background, or ignored where they are inside an ignore region. Source: FCOS
    (arXiv:1904.01355), sections 3.1 and 3.2; center sampling: arXiv:2006.09214, section 2.1.

    Args:
        points: For each level ``x y`` in pixels, finest first.
        targets: Ground truth of the image.
        strides: Pixels between the points of each level.
        center_radius: Maximum distance from a target's center in strides, in x and in y; None: any point inside the target counts.
        regress_range: A level takes targets whose farthest side is less than this many strides away and more than half of it. The
            finest level also takes nearer ones, the coarsest any farther ones.

    Returns:
        ``(N,)`` int64 rows of targets, ``BACKGROUND`` or ``IGNORE``.
    """
    rows = torch.cat(list(points))
    if not len(targets):
        return torch.full((len(rows),), BACKGROUND, device=rows.device)
    distances = to_distances(targets.boxes, rows[:, None])
    inside = distances.amin(2) > 0
    stride, low, high = _level_ranges(points, strides, regress_range)
    farthest = distances.amax(2)
    eligible = inside & (farthest > low[:, None]) & (farthest < high[:, None]) & ~targets.is_crowd
    if center_radius is not None:
        centers = (targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2
        eligible &= (rows[:, None] - centers).abs().amax(2) < center_radius * stride[:, None]
    areas, smallest = torch.where(eligible, box_area(targets.boxes), torch.inf).min(1)
    return ignore_crowds(torch.where(areas.isinf(), BACKGROUND, smallest), rows, targets)


def _level_ranges(points: Sequence[Tensor], strides: Sequence[float], regress_range: float) -> tuple[Tensor, Tensor, Tensor]:
    """For every point, ``(N,)`` each: its stride, and the range of the distance to a target's farthest side."""
    stride = [float(value) for value in strides]
    low = [0.0, *(value * regress_range / 2 for value in stride[1:])]
    high = [*(value * regress_range for value in stride[:-1]), torch.inf]
    counts = torch.tensor([len(level) for level in points], device=points[0].device)
    table = torch.tensor((stride, low, high), device=points[0].device).repeat_interleave(counts, 1)
    return table[0], table[1], table[2]
