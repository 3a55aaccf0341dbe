"""Proposals of a region proposal network for all images of a batch at once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from detkit.export.select import BoxSource, Entries, Selected, merged, select_from, top_entries
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.rpn import MIN_SIZE, RPN
from detkit.ops.coder import decode


def propose(rpn: RPN, logits: Tensor, deltas: Tensor, anchors: list[Tensor], sizes: Tensor) -> Selected:
    """Return the proposals of each image, best first; equal to those of :meth:`RPN.propose` for detection, padded to one number.

    The scores keep the order of the logits, see :func:`positive_scores`, and the labels are the levels.

    Args:
        rpn: The network.
        logits: ``(B, N)`` of its forward pass.
        deltas: ``(B, N, 4)`` of its forward pass.
        anchors: ``(N_l, 4)`` of each level.
        sizes: ``(B, 2)`` height and width of each image, to which the proposals are clipped.
    """
    every, config = torch.cat(anchors), rpn.config

    def boxes(entries: Entries) -> Tensor:
        rows = entries.rows[..., None].expand(-1, -1, 4)
        return decode(deltas.gather(1, rows), every[entries.rows])

    entries = _best_of_levels(positive_scores(logits), [level.shape[0] for level in anchors], config.pre_nms_top_k)
    if config.min_score > 0:
        min_logit = torch.tensor(math.log(config.min_score / (1 - config.min_score)))
        entries = entries.without(entries.scores <= positive_scores(min_logit))
    rules = PostprocessConfig(min_score=0.0, nms_iou=config.nms_iou, max_detections=config.max_proposals)
    return select_from(entries, BoxSource(boxes, sizes, min_size=MIN_SIZE), rules, len(anchors))


def positive_scores(logits: Tensor) -> Tensor:
    """Map logits to positive numbers of the same order; probabilities of high logits would be equal in float32."""
    return torch.where(logits > 0, 1 + logits, 1 / (1 - logits.clamp(max=0)))


def _best_of_levels(scores: Tensor, lengths: list[int], top_k: int) -> Entries:
    """Return the highest entries of each level of ``(B, N)`` scores; their labels are the levels."""
    start, parts = 0, []
    for level, length in enumerate(lengths):
        part = top_entries(scores[:, start : start + length, None], top_k)
        parts.append(Entries(part.scores, part.rows + start, part.labels + level))
        start = start + length
    return merged(parts)
