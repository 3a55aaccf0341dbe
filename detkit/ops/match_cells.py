"""YOLOv1's rule: the cell that holds an object's center answers for it, and of the cell's boxes the one that overlaps it most."""

from __future__ import annotations

import torch
from torch import Tensor

from detkit.ops.boxes import paired_iou
from detkit.ops.match import BACKGROUND, ignore_crowds
from detkit.structures import Targets


def match_by_cell(cells: Tensor, predicted: Tensor, targets: Targets) -> Tensor:
    """``(S * B,)`` int64: the row of the target that each box of each cell answers for, or ``BELOW`` or ``BETWEEN``.

    A cell has one object, the first in the data whose center it holds. Of its boxes the one with the greatest IoU answers, or,
    where none overlaps the object, the one nearest to it in center and size (both as shares of the image's).

    Source: YOLO (arXiv:1506.02640), section 2; the case without overlap is Darknet's detection_layer.c.

    Args:
        cells: ``(S, 4)``, a grid over the image, row by row.
        predicted: ``(S, B, 4)``, the boxes as they are predicted now.
        targets: Of the image.
    """
    count = predicted.shape[1]
    assignment = torch.full((len(cells), count), BACKGROUND, dtype=torch.int64, device=cells.device)
    if len(targets):
        x, y = (targets.boxes[:, None, :2] + targets.boxes[:, None, 2:]).div(2).unbind(-1)
        holds = (x >= cells[:, 0]) & (x < cells[:, 2]) & (y >= cells[:, 1]) & (y < cells[:, 3]) & ~targets.is_crowd[:, None]
        taken = holds.any(0).nonzero().flatten()
        rows = holds.int().argmax(0)[taken]
        assignment[taken, _responsible(predicted[taken], targets.boxes[rows][:, None], cells[-1, 2:])] = rows
    return ignore_crowds(assignment.flatten(), cells.repeat_interleave(count, 0), targets)


def _responsible(predicted: Tensor, wanted: Tensor, extent: Tensor) -> Tensor:
    """``(n,)``: which of ``(n, B, 4)`` boxes answers for the ``(n, 1, 4)`` wanted one; ``extent`` is the image's width and height."""
    overlaps = paired_iou(predicted, wanted)
    centers = (predicted[..., :2] + predicted[..., 2:] - wanted[..., :2] - wanted[..., 2:]) / 2
    sizes = predicted[..., 2:] - predicted[..., :2] - wanted[..., 2:] + wanted[..., :2]
    distances = ((centers / extent).square() + (sizes / extent).square()).sum(-1)
    return torch.where((overlaps > 0).any(-1), overlaps.argmax(-1), distances.argmin(-1))
