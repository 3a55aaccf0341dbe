"""What a student loses by being unlike its teacher: in scores, in boxes, in maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from detkit.heads.one_stage import OneStageHead, Outputs
from detkit.layers import loss_normalizer
from detkit.ops.losses import giou_loss

_LEAST = 1e-12
"""Probabilities below have the logarithm of this one."""


@dataclass(frozen=True, eq=False)
class HeadOutputs:
    """What a one-stage head says about a batch.

    Attributes:
        head: Who says it.
        outputs: Its tensors.
        locations: Where, level by level.
        labels: ``(C,)`` its numbers of the classes that student and teacher have in common.
    """

    head: OneStageHead
    outputs: Outputs
    locations: list[Tensor]
    labels: Tensor

    def scores(self) -> Tensor:
        """``(B, N, C)`` probabilities of the common classes, float32."""
        scores = self.head.raw_scores(self.outputs).float()
        every = torch.arange(scores.shape[-1], device=self.labels.device)
        return scores if torch.equal(self.labels, every) else scores[..., self.labels]

    def boxes(self, image: int, rows: Tensor, classes: Tensor) -> Tensor:
        """``(n, 4)`` boxes of an image at the places ``rows``, for the common ``classes``, both ``(n,)``."""
        return self.head.boxes_at(self.outputs, self.locations, image, rows, self.labels[classes]).float()


def quality_focal(probabilities: Tensor, wanted: Tensor, beta: float = 2.0) -> Tensor:
    """Sum over all elements of the quality focal loss of probabilities with ``wanted`` in [0, 1]: 0 where they are equal, if ``beta`` > 0.

    Source: Generalized Focal Loss (arXiv:2006.04388), equation 2: ``|wanted - p| ** beta`` times the cross entropy.
    """
    loss: Tensor = _QualityFocal.apply(probabilities.float(), wanted.float(), beta)  # type: ignore[no-untyped-call]
    return loss


def dense_losses(student: HeadOutputs, teacher: HeadOutputs, *, beta: float, min_score: float) -> tuple[Tensor, Tensor]:
    """The losses of classes and of boxes, divided by the sum of the teacher's weights in the batch, the mean over processes.

    A place weighs as much as the teacher's best score there, nothing if that is not above ``min_score``. Classes are learned by
    :func:`quality_focal` with the teacher's scores as what is wanted, at every place; boxes by the generalized IoU with the teacher's,
    weighted.
    """
    with torch.no_grad():
        wanted = teacher.scores()
        weights, classes = wanted.max(-1)
        weights = weights.where(weights > min_score, 0.0)
        total = loss_normalizer(weights.sum())
    class_loss = quality_focal(student.scores(), wanted, beta) / total
    box_losses = []
    for image in range(len(weights)):
        rows = weights[image].nonzero().flatten()
        with torch.no_grad():
            goal = teacher.boxes(image, rows, classes[image, rows])
            real = (goal[:, 2:] > goal[:, :2]).all(1)  # a box of no size overlaps nothing, not even itself
            rows, goal = rows[real], goal[real]
        found = student.boxes(image, rows, classes[image, rows])
        box_losses.append((giou_loss(found, goal) * weights[image, rows]).sum())
    return class_loss, torch.stack(box_losses).sum() / total


def feature_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """The mean squared difference of maps ``(B, C, H, W)``, each channel of each image brought to mean 0 and variance 1.

    So it says how badly they correlate, whatever their scale: 0 to 4 for each level, and the mean over the levels counts.
    Source: PKD (arXiv:2207.02039), equation 4, with the statistics of each image, so that they do not depend on the batch.
    """
    losses = [functional.mse_loss(_standardized(mine), _standardized(theirs)) for mine, theirs in zip(student, teacher, strict=True)]
    return torch.stack(losses).mean()


def _standardized(level_map: Tensor) -> Tensor:
    values = level_map.float()
    deviation, mean = torch.std_mean(values, (2, 3), correction=0, keepdim=True)
    return (values - mean) / (deviation + 1e-6)


class _QualityFocal(torch.autograd.Function):
    """With its gradient made at once, from the same temporaries: there is a number for every place and class of a batch."""

    @staticmethod
    def forward(ctx: Any, found: Tensor, wanted: Tensor, beta: float) -> Tensor:
        absent = 1 - found
        yes = found.clamp(min=_LEAST).log_()
        entropy = torch.lerp(absent.clamp(min=_LEAST).log_(), yes, wanted).neg_()  # -(wanted * log p + (1 - wanted) * log(1 - p))
        apart = found - wanted
        far = apart.abs()
        weight = far.pow(beta)
        loss = (entropy * weight).sum()
        by_entropy = weight.mul_(apart).div_(absent.mul_(found).clamp_(min=_LEAST))  # d entropy / d p = (p - wanted) / (p * (1 - p))
        slope = entropy.mul_(far.pow_(beta - 1)).mul_(apart.sign_()).mul_(beta)
        ctx.save_for_backward(slope.add_(by_entropy))
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (slope,) = ctx.saved_tensors
        return slope * gradient, None, None
