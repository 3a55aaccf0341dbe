"""Weighted boxes fusion: detections of several models, scales or mirrorings of one image become one set by averaging.

Source: Solovyev, Wang and Gabruseva, Weighted boxes fusion (arXiv:1910.13302), section 3; its numbers are kept as names here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.float64]


@dataclass
class _Cluster:
    """Boxes taken for one thing: the sums from which the fused box is made."""

    scores: float = 0.0
    weighted: Numbers = field(default_factory=lambda: np.zeros(4))
    count: int = 0

    def add(self, box: Numbers, score: float) -> Numbers:
        """Take one more box; the fused box so far (equations 2 and 3), ``(4,)``."""
        self.scores, self.weighted, self.count = self.scores + score, self.weighted + score * box, self.count + 1
        return self.weighted / self.scores


def fuse(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor | None,
    *,
    sources: int | Callable[[Tensor], Tensor],
    merge_iou: float = 0.55,
    max_detections: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes of all sources together, fused to one a thing: ``(m, 4)`` boxes, scores, labels (zeros if there were none), best first.

    From the best score down, a box joins the cluster whose fused box it overlaps most, if their IoU is greater than
    ``merge_iou``, or founds one. A fused box is the mean of its cluster's, weighted by score; its score is their mean score
    times ``min(T, N) / N`` (equation 5), where T is how many boxes it was made of and N how many sources there are: what few
    saw is doubted.

    Args:
        boxes: ``(n, 4)``, of all sources.
        scores: ``(n,)`` probabilities; a source that counts more has its scores multiplied by a weight beforehand. Boxes that
            score 0 are left out.
        labels: ``(n,)``; boxes of different labels are never fused. ``None``: all may be.
        sources: N, or a function that gives for ``(m, 4)`` fused boxes how many sources could have found each.
        merge_iou: THR of the paper, which found 0.55 best.
        max_detections: At most so many.
    """
    order = torch.sort(scores.float(), descending=True, stable=True).indices
    order = order[scores[order] > 0]
    groups = torch.zeros_like(order) if labels is None else labels[order]
    found = [torch.zeros(0, 4)], [torch.zeros(0)], [torch.zeros(0, dtype=torch.int64)]
    for label in torch.unique(groups).tolist():
        rows = order[groups == label]
        fused, means, counts = _fused(boxes[rows].cpu().double().numpy(), scores[rows].cpu().double().numpy(), merge_iou)
        seen_by = torch.full((len(fused),), sources) if isinstance(sources, int) else sources(fused).cpu()
        found[0].append(fused)
        found[1].append(means * torch.minimum(counts, seen_by) / seen_by.clamp(min=1))
        found[2].append(torch.full((len(fused),), label))
    joined = [torch.cat(parts).to(boxes.device) for parts in found]
    best = torch.sort(joined[1], descending=True, stable=True).indices[:max_detections]
    return joined[0][best], joined[1][best], joined[2][best]


def _fused(boxes: Numbers, scores: Numbers, merge_iou: float) -> tuple[Tensor, Tensor, Tensor]:
    """Fused boxes, mean scores and counts of the clusters of one label, in the order they were founded."""
    fused, clusters = np.zeros_like(boxes), list[_Cluster]()
    for box, score in zip(boxes, scores.tolist(), strict=True):
        overlaps = _overlaps(fused[: len(clusters)], box)
        place = int(overlaps.argmax()) if len(overlaps) else 0
        if not len(overlaps) or not overlaps[place] > merge_iou:
            place = len(clusters)
            clusters.append(_Cluster())
        fused[place] = clusters[place].add(box, score)
    counts = torch.tensor([cluster.count for cluster in clusters])
    means = torch.tensor([cluster.scores / cluster.count for cluster in clusters], dtype=torch.float32)
    return torch.from_numpy(fused[: len(clusters)]).float(), means, counts


def _overlaps(boxes: Numbers, box: Numbers) -> Numbers:
    """``(n,)`` IoU of ``(n, 4)`` boxes with one."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = np.maximum(sides, 0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    found: Numbers = shared / np.maximum(areas + (box[2:] - box[:2]).prod() - shared, np.finfo(np.float64).tiny)
    return found
