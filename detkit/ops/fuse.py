"""Weighted boxes fusion: average the detections of several models, scales or flips of one image into one set.

Source: Solovyev, Wang and Gabruseva, Weighted boxes fusion (arXiv:1910.13302), section 3; its symbols T, N and THR are used here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from detkit.arrays import Doubles
from detkit.ops.box_arrays import paired_iou


@dataclass
class _Cluster:
    """Running sums over the boxes of one object."""

    score_sum: float = 0.0
    weighted_sum: Doubles = field(default_factory=lambda: np.zeros(4))
    count: int = 0

    def add(self, box: Doubles, score: float) -> Doubles:
        """Add a box and return the fused box so far (equations 2 and 3), ``(4,)``."""
        self.score_sum, self.weighted_sum, self.count = self.score_sum + score, self.weighted_sum + score * box, self.count + 1
        return self.weighted_sum / self.score_sum


def weighted_boxes_fusion(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor | None,
    *,
    sources: int | Callable[[Tensor], Tensor],
    merge_iou: float = 0.55,
    max_detections: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Fuse the boxes of all sources into one box per object.

    In descending order of score, a box joins the cluster whose fused box has the highest IoU with it, if that IoU is greater than
    ``merge_iou``; otherwise it starts a new cluster. A fused box is the mean of its cluster's boxes, weighted by score. Its score is
    their mean score times ``min(T, N) / N`` (equation 5), where T is the number of boxes in the cluster and N the number of sources,
    so that a box found by few sources scores lower.

    Args:
        boxes: ``(n, 4)`` boxes of all sources.
        scores: ``(n,)`` probabilities; to weight a source, multiply its scores by the weight beforehand. Boxes with a score of 0 are
            left out.
        labels: ``(n,)``; boxes of different labels are never fused. ``None``: any boxes can be fused.
        sources: N, or a function that returns for ``(m, 4)`` fused boxes the number of sources that could have found each.
        merge_iou: The paper's THR, for which it found 0.55 best.
        max_detections: Maximum number of fused boxes.

    Returns:
        ``(m, 4)`` boxes, ``(m,)`` scores and ``(m,)`` labels (zeros without ``labels``), best first.
    """
    order = torch.sort(scores.float(), descending=True, stable=True).indices
    order = order[scores[order] > 0]
    groups = torch.zeros_like(order) if labels is None else labels[order]
    results = [torch.zeros(0, 4)], [torch.zeros(0)], [torch.zeros(0, dtype=torch.int64)]
    for label in torch.unique(groups).tolist():
        rows = order[groups == label]
        fused, means, counts = _fuse_label(boxes[rows].cpu().double().numpy(), scores[rows].cpu().double().numpy(), merge_iou)
        num_sources = torch.full((len(fused),), sources) if isinstance(sources, int) else sources(fused).cpu()
        results[0].append(fused)
        results[1].append(means * torch.minimum(counts, num_sources) / num_sources.clamp(min=1))
        results[2].append(torch.full((len(fused),), label))
    joined = [torch.cat(parts).to(boxes.device) for parts in results]
    best = torch.sort(joined[1], descending=True, stable=True).indices[:max_detections]
    return joined[0][best], joined[1][best], joined[2][best]


def _fuse_label(boxes: Doubles, scores: Doubles, merge_iou: float) -> tuple[Tensor, Tensor, Tensor]:
    """Fused boxes, mean scores and counts of the clusters of one label, in order of creation."""
    fused, clusters = np.zeros_like(boxes), list[_Cluster]()
    for box, score in zip(boxes, scores.tolist(), strict=True):
        ious = paired_iou(fused[: len(clusters)], box)
        index = int(ious.argmax()) if len(ious) else 0
        if not len(ious) or not ious[index] > merge_iou:
            index = len(clusters)
            clusters.append(_Cluster())
        fused[index] = clusters[index].add(box, score)
    counts = torch.tensor([cluster.count for cluster in clusters])
    means = torch.tensor([cluster.score_sum / cluster.count for cluster in clusters], dtype=torch.float32)
    return torch.from_numpy(fused[: len(clusters)]).float(), means, counts
