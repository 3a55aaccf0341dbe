"""Weighted boxes fusion: average the detections of several models, scales or flips of one image into one set.

Source: Solovyev, Wang and Gabruseva, Weighted boxes fusion (arXiv:1910.13302), section 3; its symbols T, N and THR are used here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from detkit.arrays import Doubles, Floats, Integers
from detkit.ops.box_arrays import paired_iou


@dataclass
class _Cluster:
    """Running sums over the boxes of one object."""

    score_sum: float = 0.0
    weighted_sum: Doubles = field(default_factory=lambda: np.zeros(4))
    rows: list[int] = field(default_factory=list)

    def add(self, row: int, box: Doubles, score: float) -> Doubles:
        """Add a box and return the fused box so far (equations 2 and 3), ``(4,)``."""
        self.score_sum, self.weighted_sum = self.score_sum + score, self.weighted_sum + score * box
        self.rows.append(row)
        return self.weighted_sum / self.score_sum


class Fused(NamedTuple):
    """Fused boxes, best first.

    Attributes:
        boxes: ``(m, 4)``.
        scores: ``(m,)``.
        labels: ``(m,)``; zeros if labels do not count.
        members: For each, the rows of the boxes that it is the mean of.
    """

    boxes: Floats
    scores: Floats
    labels: Integers
    members: list[Integers]


def weighted_boxes_fusion(
    boxes: Floats,
    scores: Floats,
    labels: Integers | None,
    *,
    sources: int | Callable[[Floats], Integers],
    merge_iou: float = 0.55,
    max_detections: int | None = None,
) -> Fused:
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
    """
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    groups = np.zeros_like(order) if labels is None else labels[order]
    results: tuple[list[Floats], list[Floats], list[Integers]] = ([np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)], [groups[:0]])
    members: list[Integers] = []
    for label in np.unique(groups).tolist():
        rows = order[groups == label]
        fused, means, clusters = _fuse_label(boxes[rows].astype(np.float64), scores[rows].astype(np.float64), merge_iou)
        members += [rows[cluster.rows] for cluster in clusters]
        counts = np.array([len(cluster.rows) for cluster in clusters])
        num_sources = np.full(len(fused), sources) if isinstance(sources, int) else sources(fused)
        results[0].append(fused)
        results[1].append((means * np.minimum(counts, num_sources) / np.maximum(num_sources, 1)).astype(np.float32))
        results[2].append(np.full(len(fused), label))
    joined = np.concatenate(results[0]), np.concatenate(results[1]), np.concatenate(results[2])
    best = np.argsort(-joined[1], kind="stable")[:max_detections]
    return Fused(joined[0][best], joined[1][best], joined[2][best], [members[index] for index in best.tolist()])


def _fuse_label(boxes: Doubles, scores: Doubles, merge_iou: float) -> tuple[Floats, Floats, list[_Cluster]]:
    """Fused boxes, mean scores and clusters of one label, in order of creation."""
    fused, clusters = np.zeros_like(boxes), list[_Cluster]()
    for row, (box, score) in enumerate(zip(boxes, scores.tolist(), strict=True)):
        ious = paired_iou(fused[: len(clusters)], box)
        index = int(ious.argmax()) if len(ious) else 0
        if not len(ious) or not ious[index] > merge_iou:
            index = len(clusters)
            clusters.append(_Cluster())
        fused[index] = clusters[index].add(row, box, score)
    means = np.array([cluster.score_sum / len(cluster.rows) for cluster in clusters], np.float32)
    return fused[: len(clusters)].astype(np.float32), means, clusters
