"""Which query of the teacher each query of the student imitates: queries have no positions by which they would correspond."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from detkit.ops.boxes import xyxy_to_cxcywh
from detkit.ops.losses import giou_loss
from detkit.training.distillation.losses import HeadOutputs

_CLASS_COST, _BOX_COST, _GIOU_COST = 2.0, 5.0, 2.0
"""Weights of Deformable DETR's matching cost."""


@torch.no_grad()
def align_queries(student: HeadOutputs, teacher: HeadOutputs) -> HeadOutputs:
    """Return the teacher's outputs in the order of the student's queries, by bipartite matching of both for each image.

    The cost is the difference of the scores and of the boxes, weighted by the teacher's best score, so that the queries it is sure of
    are matched best. Queries of the student that remain learn that there is nothing. Source: DETRDistill (arXiv:2211.10156), section 3.2,
    which matches in the same way.
    """
    from scipy.optimize import linear_sum_assignment

    own, reference = student.scores(), teacher.scores()
    order = torch.full(own.shape[:2], -1, dtype=torch.int64, device=own.device)
    for image in range(len(own)):
        costs = _costs(own[image], reference[image], student.best_boxes(image), teacher.best_boxes(image))
        rows, columns = linear_sum_assignment(costs.cpu().numpy())
        order[image, torch.from_numpy(rows).to(own.device)] = torch.from_numpy(columns).to(own.device)
    return replace(teacher, order=order)


def _costs(scores: Tensor, reference: Tensor, boxes: Tensor, reference_boxes: Tensor) -> Tensor:
    """Return ``(N, M)``: the cost of each query of the student imitating each query of the teacher."""
    best = reference.amax(-1)
    classes = (scores[:, None] - reference).abs().sum(-1)
    extent = torch.cat((boxes, reference_boxes)).amax().clamp(min=1)
    pairs = boxes[:, None].expand(-1, len(reference_boxes), 4)
    targets = reference_boxes.expand_as(pairs)
    distance = ((xyxy_to_cxcywh(pairs) - xyxy_to_cxcywh(targets)) / extent).abs().sum(-1)
    giou = giou_loss(pairs.flatten(0, 1), targets.flatten(0, 1)).view_as(distance)
    return best * (_CLASS_COST * classes + _BOX_COST * distance + _GIOU_COST * giou).nan_to_num(1e6)
