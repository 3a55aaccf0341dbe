"""Bipartite matching of queries and targets, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from detkit.layers import loss_normalizer, mean_over_processes
from detkit.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from detkit.ops.losses import giou_loss
from detkit.ops.match import ignore_crowds
from detkit.ops.match_hungarian import match_hungarian
from detkit.structures import Batch, Targets

_EPSILON = 1e-8
"""Keeps the logarithms in the focal cost finite (the constant of Deformable DETR's code)."""


@dataclass(frozen=True)
class CostWeights:
    """Weights of the terms of the matching cost.

    Attributes:
        class_cost: Of the class.
        box_cost: Of the L1 distance between the boxes, as fractions of the image.
        giou_cost: Of one minus the generalized IoU.
        target_copies: Queries matched to each target.
    """

    class_cost: float
    box_cost: float
    giou_cost: float
    target_copies: int = 1


def focal_cost(logits: Tensor, labels: Tensor, alpha: float, gamma: float) -> Tensor:
    """Return the focal loss of each query as each target's class, minus its loss as background, ``(..., M)`` for ``(..., K)`` logits.

    Source: Deformable DETR (arXiv:2010.04159), ``matcher.py`` of its code.
    """
    probability = logits[..., labels].float().sigmoid()
    as_background = (1 - alpha) * probability**gamma * -(1 - probability + _EPSILON).log()
    as_object = alpha * (1 - probability) ** gamma * -(probability + _EPSILON).log()
    return as_object - as_background


def predicted_corners(boxes: Tensor) -> Tensor:
    """Return the corners of ``(..., 4)`` predicted boxes given as center and size; negative sizes, which D-FINE can predict, count as 0.

    Source: ``box_cxcywh_to_xyxy`` of the released code.
    """
    return cxcywh_to_xyxy(torch.cat((boxes[..., :2], boxes[..., 2:].clamp(min=0)), -1))


@torch.no_grad()
def match_queries(class_costs: Tensor, boxes: Tensor, target: Targets, extent: Tensor, weights: CostWeights) -> Tensor:
    """Match the queries of one image to its targets, each stage by itself.

    Args:
        class_costs: ``(N, S, M)`` cost of the class of each target for each query in each of S stages.
        boxes: ``(N, S, 4)`` predicted boxes as center and size, in pixels.
        target: The M targets.
        extent: ``(4,)`` width, height, width and height of which the distances are fractions.
        weights: Weights of the terms.

    Returns:
        ``(N, S)`` int64 rows of targets, ``BACKGROUND`` or ``IGNORE``; queries mostly inside a crowd are ignored unless matched.
    """
    pairs = boxes[:, :, None]
    distance = (pairs / extent - xyxy_to_cxcywh(target.boxes) / extent).abs().sum(-1)
    giou = giou_loss(predicted_corners(pairs), target.boxes)
    costs = (weights.box_cost * distance + weights.giou_cost * giou + weights.class_cost * class_costs).cpu()
    target_on_cpu, corners, assignment = target.to("cpu"), cxcywh_to_xyxy(boxes), []
    for stage in range(costs.shape[1]):
        rows = match_hungarian(costs[:, stage], target_on_cpu, weights.target_copies).to(boxes.device)
        assignment.append(ignore_crowds(rows, corners[:, stage], target))
    return torch.stack(assignment, 1)


@dataclass(frozen=True, eq=False)
class MatchedPairs:
    """Predictions of a batch and the targets that they are assigned to, P pairs.

    Attributes:
        image: ``(P,)`` index of the image.
        query: ``(P,)`` index of the query.
        stage: ``(P,)`` index of the stage.
        labels: ``(P,)`` labels of the targets.
        target_boxes: ``(P, 4)`` boxes of the targets, corners in pixels.
    """

    image: Tensor
    query: Tensor
    stage: Tensor
    labels: Tensor
    target_boxes: Tensor

    @classmethod
    def of(cls, assignment: Tensor, targets: Sequence[Targets]) -> MatchedPairs:
        """Return the pairs of a ``(B, N, S)`` assignment."""
        image, query, stage = (assignment >= 0).nonzero(as_tuple=True)
        starts = torch.tensor([0, *(len(target) for target in targets[:-1])], device=assignment.device).cumsum(0)
        rows = starts[image] + assignment[image, query, stage]
        return cls(image, query, stage, torch.cat([t.labels for t in targets])[rows], torch.cat([t.boxes for t in targets])[rows])

    def of_predictions(self, values: Tensor) -> Tensor:
        """Return the rows ``(P, ...)`` of predictions ``(B, N, S, ...)``."""
        return values[self.image, self.query, self.stage]

    def sum_by_stage(self, values: Tensor, num_stages: int) -> Tensor:
        """Sum ``(P,)`` values over the pairs of each stage, ``(S,)``."""
        in_stage = self.stage[:, None] == torch.arange(num_stages, device=self.stage.device)
        return (values[:, None] * in_stage).sum(0)


def image_extents(batch: Batch) -> Tensor:
    """Return ``(B, 4)``: width, height, width and height of each image without padding."""
    if not batch.is_padded:
        return padded_extents(batch)
    sides = [torch.as_tensor(side) for height, width in batch.sizes for side in (width, height, width, height)]
    return torch.stack(sides).to(batch.images.device, torch.float32).reshape(-1, 4)


def padded_extents(batch: Batch) -> Tensor:
    """Return ``(B, 4)``: width, height, width and height of the padded images, the same for all."""
    height, width = (torch.as_tensor(side) for side in batch.padded_size)
    extent = torch.stack((width, height, width, height)).to(batch.images.device, torch.float32)
    return extent.expand(batch.images.shape[0], 4)


def num_objects(targets: Sequence[Targets], device: torch.device) -> Tensor:
    """Return the number of objects in the batch, mean over processes, at least 1."""
    count = sum(int((~target.is_crowd).sum()) for target in targets)
    return loss_normalizer(torch.tensor(float(count), device=device))


def num_groups(copied: Tensor, targets: Sequence[Targets]) -> Tensor:
    """Return the number of groups of noised copies with the assignment ``(B, D)``, the same on all processes, at least 1."""
    objects = sum(int((~target.is_crowd).sum()) for target in targets)
    counts = torch.stack(((copied >= 0).sum().float(), torch.tensor(float(objects), device=copied.device)))
    restored, all_objects = mean_over_processes(counts)
    groups: Tensor = restored / all_objects.clamp(min=torch.finfo(torch.float32).tiny)
    return groups.clamp(min=1)
