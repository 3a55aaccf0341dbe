"""Distillation losses between the scores, boxes and feature maps of a student and of its teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from detkit.heads.one_stage import OneStageHead, Outputs
from detkit.layers import loss_normalizer
from detkit.ops.losses import giou_loss, zero_loss
from detkit.ops.match import mostly_inside_regions
from detkit.structures import Targets

_MIN_PROBABILITY = 1e-12
"""Probabilities are clamped to at least this value before their logarithm is taken."""


@dataclass(frozen=True, eq=False)
class HeadOutputs:
    """Outputs of a one-stage head for a batch.

    Attributes:
        head: The head.
        outputs: Its output tensors.
        locations: Its locations, by level.
        labels: Its labels ``(C,)`` of the classes that student and teacher have in common.
        order: ``(B, N)`` rows that replace the locations, -1 for none; None: the locations as they are.
    """

    head: OneStageHead
    outputs: Outputs
    locations: list[Tensor]
    labels: Tensor
    order: Tensor | None = None

    def scores(self) -> Tensor:
        """Return the probabilities ``(B, N, C)`` of the common classes, float32."""
        scores = self.head.raw_scores(self.outputs).float()
        every = torch.arange(scores.shape[-1], device=self.labels.device)
        scores = scores if torch.equal(self.labels, every) else scores[..., self.labels]
        if self.order is None:
            return scores
        rows = self.order[..., None]
        return torch.where(rows >= 0, scores.gather(1, rows.clamp(min=0).expand(-1, -1, scores.shape[-1])), 0.0)

    def best_boxes(self, image: int) -> Tensor:
        """Return the boxes ``(N, 4)`` of an image at every location, each for its most probable common class."""
        classes = self.scores()[image].argmax(-1)
        return self.boxes(image, torch.arange(len(classes), device=classes.device), classes)

    def boxes(self, image: int, rows: Tensor, classes: Tensor) -> Tensor:
        """Return the boxes ``(n, 4)`` of an image at the locations ``rows`` for the common ``classes``, both ``(n,)``."""
        rows = rows if self.order is None else self.order[image, rows]
        return self.head.boxes_at(self.outputs, self.locations, image, rows, self.labels[classes]).float()

    @torch.no_grad()
    def inside_regions(self, targets: Sequence[Targets]) -> Tensor | None:
        """Return which locations are mostly inside an ignore region, ``(B, N)`` bool; None if there are no regions.

        A location without coordinates, a query, is where its box is.
        """
        if not any(bool(rows.is_crowd.any()) for rows in targets):
            return None
        everywhere = torch.cat(self.locations)
        boxes = [everywhere if everywhere.shape[1] else self.best_boxes(image) for image in range(len(targets))]
        return torch.stack([mostly_inside_regions(rows, target) for rows, target in zip(boxes, targets, strict=True)])


def quality_focal(probabilities: Tensor, targets: Tensor, beta: float = 2.0) -> Tensor:
    """Return the quality focal loss, summed over all elements, of probabilities with soft targets in [0, 1].

    It is 0 where both are equal, if ``beta`` > 0.

    Source: Generalized Focal Loss (arXiv:2006.04388), equation 2: ``|target - p| ** beta`` times the cross entropy.
    """
    loss: Tensor = _QualityFocal.apply(probabilities.float(), targets.float(), beta)  # type: ignore[no-untyped-call]
    return loss


def dense_losses(
    student: HeadOutputs, teacher: HeadOutputs, *, beta: float, min_score: float, ignored: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the class loss and the box loss, divided by the sum of the teacher's weights in the batch (mean over processes).

    The weight of a location is the teacher's best score there, or 0 if that is not above ``min_score``. The class loss is
    :func:`quality_focal` with the teacher's scores as targets, at every location; the box loss is the weighted generalized IoU loss
    with the teacher's boxes. Nothing is learned at the locations that are ``ignored``, ``(B, N)`` bool.
    """
    with torch.no_grad():
        targets = teacher.scores()
        weights, classes = targets.max(-1)
        weights = weights.where(weights > min_score, 0.0)
        weights = weights if ignored is None else weights.masked_fill(ignored, 0.0)
        total = loss_normalizer(weights.sum())
    scores = student.scores()
    scores, targets = (scores, targets) if ignored is None else (scores[~ignored], targets[~ignored])
    class_loss = quality_focal(scores, targets, beta) / total
    box_losses = []
    for image in range(len(weights)):
        rows = weights[image].nonzero().flatten()
        with torch.no_grad():
            target_boxes = teacher.boxes(image, rows, classes[image, rows])
            valid = (target_boxes[:, 2:] > target_boxes[:, :2]).all(1)  # an empty box has no overlap, not even with itself
            rows, target_boxes = rows[valid], target_boxes[valid]
        boxes = student.boxes(image, rows, classes[image, rows])
        box_losses.append((giou_loss(boxes, target_boxes) * weights[image, rows]).sum())
    return class_loss, torch.stack(box_losses).sum() / total


def feature_loss(student: Sequence[Tensor], teacher: Sequence[Tensor], ignored: Sequence[Tensor] | None = None) -> Tensor:
    """Return the mean squared difference of feature maps ``(B, C, H, W)``, averaged over the levels.

    Each channel of each image is first normalized to mean 0 and variance 1, so the loss measures how badly the maps correlate,
    whatever their scale: 0 to 4 for each level. Cells that are ``ignored``, ``(B, H * W)`` bool for each level, count neither in the
    difference nor in the mean and variance.

    Source: PKD (arXiv:2207.02039), equation 4, with statistics per image, so that they do not depend on the batch.
    """
    pairs = [(own.flatten(2), target.flatten(2)) for own, target in zip(student, teacher, strict=True)]
    if ignored is None:
        losses = [functional.mse_loss(_standardize(own), _standardize(target)) for own, target in pairs]
    else:
        losses = [_kept_difference(own, target, ~cells) for (own, target), cells in zip(pairs, ignored, strict=True)]
    return torch.stack(losses).mean()


def _kept_difference(student: Tensor, teacher: Tensor, kept: Tensor) -> Tensor:
    """Return the mean squared difference of the kept cells, ``(B, N)``, of standardized maps ``(B, C, N)``; 0 if there are none."""
    images = zip(student, teacher, kept, strict=True)
    pairs = [(own[:, cells], target[:, cells]) for own, target, cells in images if bool(cells.any())]
    differences = [functional.mse_loss(_standardize(own), _standardize(target), reduction="sum") for own, target in pairs]
    count = sum(own.numel() for own, _ in pairs)
    return torch.stack(differences).sum() / count if differences else zero_loss(student)


def _standardize(values: Tensor) -> Tensor:
    """Return values with mean 0 and variance 1 along the last dimension."""
    deviation, mean = torch.std_mean(values.float(), -1, correction=0, keepdim=True)
    return (values - mean) / (deviation + 1e-6)


class _QualityFocal(torch.autograd.Function):
    """Quality focal loss that computes its gradient in the forward pass and reuses the temporaries.

    That saves memory: there is an element for every location and class of a batch.
    """

    @staticmethod
    def forward(ctx: Any, p: Tensor, targets: Tensor, beta: float) -> Tensor:
        absent = 1 - p
        log_p = p.clamp(min=_MIN_PROBABILITY).log_()
        # -(target * log p + (1 - target) * log(1 - p))
        entropy = torch.lerp(absent.clamp(min=_MIN_PROBABILITY).log_(), log_p, targets).neg_()
        difference = p - targets
        distance = difference.abs()
        weight = distance.pow(beta)
        loss = (entropy * weight).sum()
        # d entropy / d p = (p - target) / (p * (1 - p))
        by_entropy = weight.mul_(difference).div_(absent.mul_(p).clamp_(min=_MIN_PROBABILITY))
        slope = entropy.mul_(distance.pow_(beta - 1)).mul_(difference.sign_()).mul_(beta)
        ctx.save_for_backward(slope.add_(by_entropy))
        return loss

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return slope * gradients[0], None, None
