"""Selection of detections in numpy, with the rules and the order of :mod:`detkit.ops.select`: what runs an exported file needs no PyTorch.

Soft NMS, whose steps depend on one another, runs here for tensors too: numpy's calls take a tenth of the time of PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

import numpy as np

from detkit.arrays import Features, Flags, Floats, Integers
from detkit.ops.box_arrays import paired_iou
from detkit.structures.nms_rules import NMSRules

NMSKind = Literal["hard", "linear", "gaussian"]
"""Treatment of a box that overlaps a better one: remove it, or multiply its score; see :func:`detkit.ops.select.soft_nms`."""


class SoftRule(NamedTuple):
    """Parameters of soft NMS, see :func:`detkit.ops.select.soft_nms`."""

    kind: str
    nms_iou: float
    sigma: float
    min_score: float


class SelectRules(NMSRules, Protocol):
    """Score threshold, top-k, NMS and the final limit; see :class:`detkit.heads.postprocess.PostprocessConfig`."""

    @property
    def pre_nms_top_k(self) -> int | None:
        """Highest-scoring entries of each level that enter NMS."""

    @property
    def pre_nms_top_k_per_class(self) -> int | None:
        """Highest-scoring entries of each class that enter NMS."""

    @property
    def nms(self) -> NMSKind:
        """NMS variant."""


class SelectedArrays(NamedTuple):
    """Selected entries of a score table, best first: ``(n, 4)`` boxes, and the score and label of each."""

    boxes: Floats
    scores: Floats
    labels: Integers


def select_arrays(boxes: Callable[[Integers], Floats], scores: Floats, levels: Sequence[int], rules: SelectRules) -> SelectedArrays:
    """Apply the score threshold, top-k per level, NMS, and the final top-k.

    Args:
        boxes: Returns the ``(n, 4)`` boxes of some rows.
        scores: ``(N, K)`` probabilities.
        levels: Number of rows of each level, in order.
        rules: Parameters of the selection.
    """
    starts = np.cumsum([0, *levels])
    parts = [_top_entries(scores[low:high], rules, low) for low, high in pairwise(starts)]
    values, rows, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    if rules.pre_nms_top_k_per_class is not None:
        kept = _top_per_label(values, labels, rules.pre_nms_top_k_per_class)
        values, rows, labels = values[kept], rows[kept], labels[kept]
    selected, groups = boxes(rows), None if rules.class_agnostic else labels
    if rules.nms != "hard" and rules.nms_iou is not None:
        soft = SoftRule(rules.nms, rules.nms_iou, rules.sigma, rules.min_score)
        pairs = soft_nms_rows(np.ascontiguousarray(selected.T), values.copy(), groups, soft, rules.max_detections)
        kept = np.array([row for row, _ in pairs], np.int64)
        return SelectedArrays(selected[kept], np.array([score for _, score in pairs], np.float32), labels[kept])
    kept = np.argsort(-values, kind="stable")
    if rules.nms_iou is not None:
        kept = _hard_nms(selected, groups, kept, rules.nms_iou, rules.max_detections)
    kept = kept[: rules.max_detections]
    return SelectedArrays(selected[kept], values[kept], labels[kept])


_SPLIT = 1_000
"""Number of boxes from which hard NMS runs label by label, as its steps take time in proportion to all boxes that are compared."""


def batched_nms_rows(boxes: Floats, scores: Floats, labels: Integers | None, nms_iou: float, max_detections: int | None = None) -> Integers:
    """Return the rows kept by greedy NMS, best first, at most ``max_detections``; see :func:`detkit.ops.select.batched_nms`."""
    order = np.argsort(-scores, kind="stable")
    if labels is None or len(order) < _SPLIT:
        return _hard_nms(boxes, labels, order, nms_iou, max_detections)
    groups = labels[order]
    kept = [_hard_nms(boxes, None, order[groups == label], nms_iou, max_detections) for label in np.unique(groups)]
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    rows = np.concatenate(kept)
    return rows[np.argsort(rank[rows])][:max_detections]


def _top_entries(table: Floats, rules: SelectRules, start: int) -> tuple[Floats, Integers, Integers]:
    """Scores, rows and columns of the highest entries above the threshold, best first; among equal scores the first."""
    flat = table.reshape(-1)
    indices = np.flatnonzero(flat > np.float32(rules.min_score))
    values, top_k = flat[indices], rules.pre_nms_top_k
    if top_k is not None and len(values) > top_k:
        near = values >= np.partition(values, -top_k)[-top_k]
        indices, values = indices[near], values[near]
    order = np.argsort(-values, kind="stable")[:top_k]
    rows, labels = np.divmod(indices[order], table.shape[1])
    return values[order], rows + start, labels


def _top_per_label(values: Floats, labels: Integers, top_k: int) -> Integers:
    """Ascending indices of the ``top_k`` highest entries of each label; among equal scores the first."""
    order = np.argsort(-values, kind="stable")
    order = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    rank = np.arange(len(order)) - (np.cumsum(counts) - counts)[labels[order]]
    return np.sort(order[rank < top_k])


def _hard_nms(boxes: Floats, groups: Integers | None, order: Integers, nms_iou: float, limit: int | None) -> Integers:
    """Rows kept by greedy NMS over rows sorted best first, at most ``limit``; IoUs are computed in float64."""
    corners = boxes[order].astype(np.float64).T
    x1, y1, x2, y2 = corners
    areas = (x2 - x1) * (y2 - y1)
    sorted_groups = None if groups is None else groups[order]
    removed: Flags = np.zeros(len(order), np.bool_)
    kept: list[int] = []
    for row in range(len(order)):
        if removed[row]:
            continue
        kept.append(row)
        if limit is not None and len(kept) == limit:
            break
        width = np.maximum(np.minimum(x2[row + 1 :], x2[row]) - np.maximum(x1[row + 1 :], x1[row]), 0)
        height = np.maximum(np.minimum(y2[row + 1 :], y2[row]) - np.maximum(y1[row + 1 :], y1[row]), 0)
        shared = width * height
        with np.errstate(invalid="ignore", divide="ignore"):  # two boxes without area do not overlap
            overlaps = shared / (areas[row] + areas[row + 1 :] - shared) > nms_iou
        removed[row + 1 :] |= overlaps if sorted_groups is None else overlaps & (sorted_groups[row + 1 :] == sorted_groups[row])
    return order[kept]


def soft_nms_rows(
    corners: Floats, scores: Floats, groups: Integers | None, rule: SoftRule, max_detections: int | None
) -> list[tuple[int, float]]:
    """Kept rows and their reduced scores, best first; modifies ``scores``.

    Args:
        corners: ``(4, n)`` coordinates of the boxes.
        scores: ``(n,)`` probabilities.
        groups: ``(n,)`` labels; boxes of different labels do not affect each other. None: all boxes do.
        rule: Parameters.
        max_detections: Maximum number of boxes to keep.
    """
    kept: list[tuple[int, float]] = []
    while len(kept) < (len(scores) if max_detections is None else min(max_detections, len(scores))):
        row = int(scores.argmax())
        if not scores[row] > rule.min_score:
            break
        kept.append((row, float(scores[row])))
        factors = _factors(paired_iou(corners.T, corners[:, row]), rule)
        scores *= factors if groups is None else np.where(groups == groups[row], factors, np.float32(1))
        scores[row] = -1
    return kept


def _factors(ious: Features, rule: SoftRule) -> Floats:
    """Score multipliers of boxes with these IoUs with the box just kept."""
    if rule.kind == "linear":
        return np.where(ious > rule.nms_iou, 1 - ious, np.float32(1))
    factors: Floats = np.exp(ious * ious * np.float32(-1 / rule.sigma))
    return factors
