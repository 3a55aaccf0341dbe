"""Losses of queries with sigmoid scores: class losses with the IoU as quality, and box losses, for all stages at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from detkit.config import Config
from detkit.heads.queries.matching import CostWeights, MatchedPairs, focal_cost, match_queries, predicted_corners
from detkit.ops.boxes import paired_iou, xyxy_to_cxcywh
from detkit.ops.losses import giou_loss
from detkit.ops.match import IGNORE
from detkit.structures import Targets


class QueryMatchingConfig(Config):
    """Cost of matching a query to an object; the defaults are those of Deformable DETR, RT-DETR and D-FINE."""

    class_cost: float = Field(2.0, ge=0)
    """Weight of the focal cost of the class."""
    box_cost: float = Field(5.0, ge=0)
    """Weight of the L1 distance between the boxes, as fractions of the image."""
    giou_cost: float = Field(2.0, ge=0)
    """Weight of one minus the generalized IoU."""
    alpha: float = Field(0.25, ge=0, le=1)
    """Weight of the object in the focal cost; background has 1 - alpha."""
    gamma: float = Field(2.0, ge=0)
    """Exponent of the focal cost."""
    target_copies: int = Field(1, ge=1)
    """Queries matched to each object; with more than one, set ``postprocess.nms_iou`` to remove duplicates."""

    def match(self, logits: Tensor, boxes: Tensor, targets: Sequence[Targets], extents: Tensor) -> Tensor:
        """Match the queries of each image in each stage.

        Args:
            logits: ``(B, N, S, K)``.
            boxes: ``(B, N, S, 4)`` as center and size, in pixels.
            targets: Targets of each image.
            extents: ``(B, 4)`` see :func:`match_queries`.

        Returns:
            ``(B, N, S)`` int64 rows of targets, ``BACKGROUND`` or ``IGNORE``.
        """
        weights = CostWeights(self.class_cost, self.box_cost, self.giou_cost, self.target_copies)
        logits, boxes = logits.detach(), boxes.detach()
        assignment = [
            match_queries(focal_cost(logits[image], target.labels, self.alpha, self.gamma), boxes[image], target, extents[image], weights)
            for image, target in enumerate(targets)
        ]
        return torch.stack(assignment)


class QueryLossConfig(Config):
    """Losses of matched queries; the defaults are those of RT-DETR (arXiv:2304.08069) and its released code."""

    class_loss: Literal["focal", "varifocal", "matchability"] = "varifocal"
    """Class loss: ``focal`` with the class as target; ``varifocal``, whose target is the IoU of the matched box (arXiv:2008.13367);
    ``matchability``, which also learns from matches of low IoU (DEIM, arXiv:2412.04234, section 3.3)."""
    alpha: float | None = Field(0.75, ge=0)
    """Weight of background in the varifocal and matchability losses (none: 1), and of the object in the focal loss."""
    gamma: float = Field(2.0, ge=0)
    """Exponent of the class loss: 2 for focal and varifocal, 1.5 for matchability."""
    class_weight: float = Field(1.0, ge=0)
    """Weight of the class loss."""
    box_weight: float = Field(5.0, ge=0)
    """Weight of the L1 distance between matched boxes, as fractions of the image."""
    giou_weight: float = Field(2.0, ge=0)
    """Weight of one minus the generalized IoU of matched boxes."""

    def class_losses(self, logits: Tensor, boxes: Tensor, assignment: Tensor, targets: Sequence[Targets]) -> Tensor:
        """Return the weighted class losses ``(S,)``, summed over images, queries and classes.

        Args:
            logits: ``(B, N, S, K)``.
            boxes: ``(B, N, S, 4)`` as center and size, in pixels; their IoU with the matched boxes is the quality, without gradient.
            assignment: ``(B, N, S)``; ignored queries have no loss.
            targets: Targets of each image.
        """
        pairs = MatchedPairs.of(assignment, targets)
        quality = paired_iou(predicted_corners(pairs.of_predictions(boxes.detach())), pairs.target_boxes)
        is_class, target = torch.zeros_like(logits, dtype=torch.float32), torch.zeros_like(logits, dtype=torch.float32)
        index = (pairs.image, pairs.query, pairs.stage, pairs.labels)
        is_class[index] = 1.0
        target[index] = quality if self.class_loss != "focal" else torch.ones_like(quality)
        probability = logits.detach().float().sigmoid()
        if self.class_loss == "focal":
            weight = self._focal_weight(logits.float().sigmoid(), is_class)
        else:
            background = (1.0 if self.alpha is None else self.alpha) * probability**self.gamma * (1 - is_class)
            target = target if self.class_loss == "varifocal" else target**self.gamma
            weight = background + (target if self.class_loss == "varifocal" else is_class)
        weight = weight * (assignment != IGNORE)[..., None]
        losses = functional.binary_cross_entropy_with_logits(logits.float(), target, weight, reduction="none")
        return self.class_weight * losses.sum((0, 1, 3))

    def _focal_weight(self, probability: Tensor, is_class: Tensor) -> Tensor:
        """Return the factors of the cross entropy in the focal loss (arXiv:1708.02002), through which gradients flow."""
        alpha = 0.5 if self.alpha is None else self.alpha
        miss = torch.where(is_class > 0, 1 - probability, probability)
        return (is_class * alpha + (1 - is_class) * (1 - alpha)) * miss**self.gamma

    def box_losses(self, boxes: Tensor, pairs: MatchedPairs, extents: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted L1 distances and generalized IoU losses, ``(S,)`` each, summed over the pairs.

        Args:
            boxes: ``(B, N, S, 4)`` as center and size, in pixels.
            pairs: Matched predictions and targets.
            extents: ``(B, 4)`` see :func:`match_queries`.
        """
        distance, giou = pair_losses(boxes, pairs, extents)
        return self.box_weight * distance, self.giou_weight * giou


def pair_losses(boxes: Tensor, pairs: MatchedPairs, extents: Tensor) -> tuple[Tensor, Tensor]:
    """Return the L1 distances and generalized IoU losses of matched boxes, summed over the pairs of each stage, ``(S,)`` each.

    Arguments as for :meth:`QueryLossConfig.box_losses`.
    """
    predicted, extent = pairs.of_predictions(boxes), extents[pairs.image]
    distance = (predicted / extent - xyxy_to_cxcywh(pairs.target_boxes) / extent).abs().sum(-1)
    giou = giou_loss(predicted_corners(predicted), pairs.target_boxes)
    num_stages = boxes.shape[2]
    return pairs.sum_by_stage(distance, num_stages), pairs.sum_by_stage(giou, num_stages)
