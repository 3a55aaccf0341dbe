"""YOLOv1's assignment: an object goes to the cell that contains its center, and to that cell's box with the highest IoU."""

from __future__ import annotations

import torch
from torch import Tensor

from detkit.ops.boxes import paired_iou
from detkit.ops.match import BACKGROUND, ignore_crowds
from detkit.structures import Targets


def match_by_cell(cells: Tensor, predicted: Tensor, targets: Targets) -> Tensor:
    """Assign targets to the predicted boxes of a grid.

    A cell takes one target: the first in the data whose center it contains. Of the cell's boxes the one with the highest IoU is
    responsible or, where none intersects the target, the one nearest to it in center and size (both relative to the image's size).

    Source: YOLO (arXiv:1506.02640), section 2; the case without an intersection is that of Darknet's detection_layer.c.

    Args:
        cells: ``(S, 4)`` boxes of a grid over the image, in row-major order.
        predicted: ``(S, B, 4)`` currently predicted boxes.
        targets: Ground truth of the image.

    Returns:
        ``(S * B,)`` int64 rows of targets, ``BACKGROUND`` or ``IGNORE``.
    """
    count = predicted.shape[1]
    assignment = torch.full((len(cells), count), BACKGROUND, dtype=torch.int64, device=cells.device)
    if len(targets):
        x, y = (targets.boxes[:, None, :2] + targets.boxes[:, None, 2:]).div(2).unbind(-1)
        contains = (x >= cells[:, 0]) & (x < cells[:, 2]) & (y >= cells[:, 1]) & (y < cells[:, 3]) & ~targets.is_crowd[:, None]
        occupied = contains.any(0).nonzero().flatten()
        rows = contains.int().argmax(0)[occupied]
        assignment[occupied, _responsible(predicted[occupied], targets.boxes[rows][:, None], cells[-1, 2:])] = rows
    return ignore_crowds(assignment.flatten(), cells.repeat_interleave(count, 0), targets)


def _responsible(predicted: Tensor, target: Tensor, extent: Tensor) -> Tensor:
    """``(n,)`` index of the one of ``(n, B, 4)`` boxes responsible for each ``(n, 1, 4)`` target; ``extent``: image width, height."""
    ious = paired_iou(predicted, target)
    centers = (predicted[..., :2] + predicted[..., 2:] - target[..., :2] - target[..., 2:]) / 2
    sizes = predicted[..., 2:] - predicted[..., :2] - target[..., 2:] + target[..., :2]
    distances = ((centers / extent).square() + (sizes / extent).square()).sum(-1)
    return torch.where((ious > 0).any(-1), ious.argmax(-1), distances.argmin(-1))
