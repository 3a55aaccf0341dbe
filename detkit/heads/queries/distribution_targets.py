"""What D-FINE's edge distributions learn: from matched boxes, and from the last decoder layer (arXiv:2410.13842, sections 4.1 and 4.2).

Boxes are center and size as fractions of the image, or in any other unit that both boxes share. Losses are float32, also under autocast.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from detkit.layers import loss_normalizer, mean_over_processes
from detkit.ops.match import BACKGROUND

TEMPERATURE = 5.0
"""Divides the logits of both distributions in the self-distillation (the constant of the released code)."""
_EPSILON = 1e-16
"""Keeps distances finite where the reference box has no width or height (the constant of the released code)."""


class BinTargets(NamedTuple):
    """The two bins that enclose a distance, and their weights, whose sum is 1; all ``(..., 4)``.

    Attributes:
        left: int64 index of the lower bin; the other one is the next.
        left_weights: Weight of the lower bin, in [0, 1].
        right_weights: Weight of the upper bin, in [0, 1].
    """

    left: Tensor
    left_weights: Tensor
    right_weights: Tensor


def cxcywh_to_distances(boxes: Tensor, references: Tensor, reg_scale: Tensor) -> Tensor:
    """Return the distances ``(..., 4)`` of the edges of ``boxes`` from those of ``references``, both ``(..., 4)``.

    The inverse of :func:`detkit.heads.queries.distribution.distances_to_cxcywh`.
    """
    boxes, references, reg_scale = boxes.float(), references.float(), reg_scale.float()
    center, half_size = boxes[..., :2], boxes[..., 2:] / 2
    reference_center, unit = references[..., :2], references[..., 2:] / reg_scale + _EPSILON
    top_left = (reference_center - (center - half_size)) / unit
    bottom_right = (center + half_size - reference_center) / unit
    return torch.cat((top_left, bottom_right), -1) - 0.5 * reg_scale


@torch.no_grad()
def bin_targets(distances: Tensor, values: Tensor) -> BinTargets:
    """Divide each distance between the bins below and above it, the nearer one with more weight.

    The weights are such that their mean is the distance. Below the first or above the last bin, that bin has all the weight. Source:
    section 4.1 of the paper, and ``translate_gt`` of the released code.

    Args:
        distances: ``(..., 4)``.
        values: ``(bins + 1,)`` see :func:`detkit.heads.queries.distribution.bin_values`.
    """
    distances, values = distances.float(), values.float()
    left = ((values <= distances[..., None]).sum(-1) - 1).clamp(0, len(values) - 2)
    lower, upper = values[left], values[left + 1]
    right_weights = ((distances - lower) / (upper - lower)).clamp(0, 1)
    return BinTargets(left, 1 - right_weights, right_weights)


def fine_grained_losses(logits: Tensor, targets: BinTargets, ious: Tensor) -> Tensor:
    """Return the fine-grained localization loss of each pair, ``(P,)``, summed over its edges.

    The cross entropy of each edge with both bins, weighted by the IoU of the predicted box, through which no gradient flows. Source:
    section 4.1 of the paper; the released code sums over pairs and divides by their number.

    Args:
        logits: ``(P, 4, bins + 1)`` of the matched predictions.
        targets: ``(P, 4)`` each.
        ious: ``(P,)`` IoU of predicted and target boxes.
    """
    log_probabilities = logits.float().log_softmax(-1)
    left = log_probabilities.gather(-1, targets.left[..., None])[..., 0]
    right = log_probabilities.gather(-1, targets.left[..., None] + 1)[..., 0]
    losses = -(targets.left_weights * left + targets.right_weights * right)
    return losses.sum(-1) * ious.detach().float()


def matched_share(matched: Tensor) -> Tensor:
    """Return the weight in [0, 1] of matched queries in the self-distillation, given ``(B, N)`` bool; unmatched ones have the rest.

    The weights are as the square roots of the numbers of queries. The released code multiplies both numbers by 4 edges and by 8 / B, which
    cancel, and uses the share of the decoder's own queries for denoising queries too.
    """
    positive, negative = (mean_over_processes(queries.float().sum()).sqrt() for queries in (matched, ~matched))
    return positive / (positive + negative)


@torch.no_grad()
def distillation_weights(teacher_class_logits: Tensor, ious: Tensor, matched: Tensor) -> Tensor:
    """Return the weight of each query in the self-distillation, ``(B, N, S)``.

    Args:
        teacher_class_logits: ``(B, N, K)`` of the last layer; an unmatched query has the highest probability of a class as weight.
        ious: ``(B, N, S)`` IoU of the boxes of each layer with their targets, the weight of a matched query; others are not read.
        matched: ``(B, N)`` bool.
    """
    confidence = teacher_class_logits.float().sigmoid().amax(-1)
    return torch.where(matched[..., None], ious.float(), confidence[..., None])


def distillation_losses(
    logits: Tensor, teacher_logits: Tensor, weights: Tensor, matched: Tensor, share: Tensor, *, ignored: Tensor | None = None
) -> Tensor:
    """Return the decoupled distillation focal loss of each decoder layer, ``(S,)``.

    The Kullback-Leibler divergence from the last layer's distributions, averaged over matched and unmatched queries apart; 0, with a
    gradient of 0, for the last layer itself. No gradient flows through the teacher or the weights. Source: section 4.2 of the paper,
    and ``loss_local`` of the released code.

    Args:
        logits: ``(B, N, S, 4, bins + 1)`` of each layer.
        teacher_logits: ``(B, N, 4, bins + 1)`` of the last layer.
        weights: ``(B, N, S)`` see :func:`distillation_weights`.
        matched: ``(B, N)`` bool.
        share: Weight of the matched queries; see :func:`matched_share`.
        ignored: ``(B, N)`` bool, unmatched queries that have no loss, since they are in ignore regions; None: no such queries.
    """
    student = (logits.float() / TEMPERATURE).log_softmax(-1)
    teacher = (teacher_logits.detach().float() / TEMPERATURE).log_softmax(-1)[:, :, None]
    divergence = (teacher.exp() * (teacher - student)).sum(-1).mean(-1)
    losses = TEMPERATURE**2 * weights.detach().float() * divergence
    unmatched = ~matched if ignored is None else ~(matched | ignored)
    return share * _mean_over(losses, matched) + (1 - share) * _mean_over(losses, unmatched)


def unite_assignments(assignment: Tensor) -> Tensor:
    """Return the union of matches over all stages: for each query the target to which most stages match it ("GO-LSD", section 4.2).

    A target may thus have several queries, and every query that any stage matches has a target. Among targets of equally many stages, the
    lowest row is chosen. The released code (``_get_go_indices``) leaves that to a sort that is not stable: it agrees for up to 16 pairs per
    image, and beyond that may choose any of them.

    Args:
        assignment: ``(..., S)`` int64 rows of targets, or negative for no target.

    Returns:
        ``(...)`` int64 rows of targets, or ``BACKGROUND`` for queries that no stage matches.
    """
    same = assignment[..., :, None] == assignment[..., None, :]
    votes = same.sum(-1).masked_fill(assignment < 0, 0)
    most = votes.amax(-1, keepdim=True)
    is_most = (votes == most) & (assignment >= 0)
    lowest = assignment.masked_fill(~is_most, torch.iinfo(assignment.dtype).max).amin(-1)
    return lowest.masked_fill(most[..., 0] == 0, BACKGROUND)


def _mean_over(losses: Tensor, queries: Tensor) -> Tensor:
    """Return the mean ``(S,)`` of ``(B, N, S)`` losses over the queries ``(B, N)`` of all processes, 0 without any."""
    return torch.where(queries[..., None], losses, 0.0).sum((0, 1)) / loss_normalizer(queries.sum().float())
