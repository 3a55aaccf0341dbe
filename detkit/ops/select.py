"""Selection of detections from many scored boxes: score threshold, top-k, NMS, top-k.

The order is deterministic: equal scores keep the order of their rows. Classes are separated by offsetting boxes in float64, or
processed one after another, so that a thousand classes cost no precision. NMS is hard (a box that overlaps a better one is removed)
or soft (its score is reduced instead).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from detkit.accelerate.torchvision_nms import nms as torchvision_nms
from detkit.ops.boxes import valid_boxes
from detkit.ops.select_arrays import NMSKind as NMSKind
from detkit.ops.select_arrays import SoftRule, soft_nms_rows

FIRST_CANDIDATES = 512
"""Number of boxes that :func:`batched_nms` examines first; it examines more only while too few remain."""
PAIRS_PER_LABEL = 40_000
"""Number of box pairs that takes a CPU as much time as one more call of the NMS kernel."""
DEVICES_WITHOUT_FLOAT64 = ("mps",)
"""Device types for which :func:`batched_nms` runs on the CPU."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Entries of a score table, best first: ``scores`` (n,) float32, and the ``rows``, ``labels`` and ``levels`` of each."""

    scores: Tensor
    rows: Tensor
    labels: Tensor
    levels: Tensor

    def __getitem__(self, index: Tensor) -> Selection:
        return Selection(self.scores[index], self.rows[index], self.labels[index], self.levels[index])

    def __len__(self) -> int:
        return len(self.scores)


def top_scores(
    scores: Tensor, *, min_score: float | None = None, top_k: int | None = None, levels: Sequence[int] | None = None
) -> Selection:
    """Return the ``top_k`` highest entries above ``min_score`` of an ``(N, K)`` or ``(N,)`` score table.

    Args:
        scores: Probabilities, or logits with a threshold in logits; any values that can be sorted.
        min_score: Entries must be greater; ``None`` keeps all.
        top_k: Maximum number of entries per level.
        levels: Number of rows of each level, in order; ``None``: a single level.
    """
    table = scores.float() if scores.ndim == 2 else scores.float()[:, None]
    counts = [len(table)] if levels is None else list(levels)
    parts, start = [], 0
    for level, count in enumerate(counts):
        values, rows, labels = _top_entries(table[start : start + count], min_score, top_k)
        parts.append(Selection(values, rows + start, labels, torch.full_like(rows, level)))
        start += count
    if len(parts) == 1:
        return parts[0]
    return Selection(*(torch.cat([getattr(part, name) for part in parts]) for name in ("scores", "rows", "labels", "levels")))


def _top_entries(table: Tensor, min_score: float | None, top_k: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, rows and columns of the highest entries, best first; among equal scores the first."""
    columns = table.shape[1]
    # The highest entries are in the rows with the highest maxima; restricting the search to those skips most of a large table.
    rows = _top_candidates(table.amax(1), min_score, top_k) if columns > 1 else None
    flat = (table if rows is None else table[rows]).reshape(-1)
    indices = _top_candidates(flat, min_score, top_k)
    values, order = torch.sort(flat if indices is None else flat[indices], descending=True, stable=True)
    order = order[:top_k]
    indices = order if indices is None else indices[order]
    row = torch.div(indices, columns, rounding_mode="floor")
    return values[:top_k], row if rows is None else rows[row], indices - row * columns


def _top_candidates(values: Tensor, min_score: float | None, top_k: int | None) -> Tensor | None:
    """Ascending indices of all values that can be among the ``top_k`` highest above ``min_score``; ``None``: all values."""
    indices = None
    if min_score is not None:
        indices = (values > min_score).nonzero().flatten()
        values = values[indices]
    if top_k is not None and len(values) > top_k:
        lowest = torch.topk(values, top_k, sorted=False).values.min()
        kept = (values >= lowest).nonzero().flatten()
        indices = kept if indices is None else indices[kept]
    return indices


def _top_per_label(selection: Selection, top_k: int) -> Tensor:
    """Ascending indices of the ``top_k`` highest entries of each label; among equal scores the first."""
    order = torch.sort(selection.scores, descending=True, stable=True).indices
    order = order[torch.sort(selection.labels[order], stable=True).indices]
    counts = torch.bincount(selection.labels)
    starts = counts.cumsum(0) - counts
    rank = torch.arange(len(order), device=order.device) - starts[selection.labels[order]]
    return order[rank < top_k].sort().values


def batched_nms(boxes: Tensor, scores: Tensor, labels: Tensor | None, *, nms_iou: float, max_detections: int | None = None) -> Tensor:
    """Return the rows kept by greedy NMS, best first, at most ``max_detections``.

    A box is removed if its IoU with a kept box of a higher score is greater than ``nms_iou`` and both have the same label (or
    ``labels`` is ``None``). Whether a box is kept depends on higher-scoring ones only, so no more boxes are examined than needed to
    find ``max_detections``.
    """
    device = boxes.device
    if device.type in DEVICES_WITHOUT_FLOAT64:
        boxes, scores, labels = boxes.cpu(), scores.cpu(), None if labels is None else labels.cpu()
    order = torch.sort(scores, descending=True, stable=True).indices
    count = len(order) if max_detections is None else min(len(order), max(FIRST_CANDIDATES, 2 * max_detections))
    while True:
        candidates = order[:count]
        kept = _nms_sorted(boxes[candidates].float(), None if labels is None else labels[candidates], nms_iou)
        if count == len(order) or (max_detections is not None and len(kept) >= max_detections):
            return candidates[kept[:max_detections]].to(device)
        count = min(len(order), 4 * count)


def _nms_sorted(boxes: Tensor, labels: Tensor | None, nms_iou: float) -> Tensor:
    """Ascending rows that NMS keeps of boxes sorted best first."""
    if labels is None or not len(boxes):
        return _nms_one_label(boxes, nms_iou)
    if boxes.device.type == "cpu":
        order = torch.sort(labels, stable=True).indices
        counts: list[int] = torch.unique_consecutive(labels[order], return_counts=True)[1].tolist()
        if len(boxes) ** 2 > PAIRS_PER_LABEL * len(counts):
            parts = torch.split(order, counts)
            return torch.cat([rows[_nms_one_label(boxes[rows], nms_iou)] for rows in parts]).sort().values
    span = boxes.amax() - boxes.amin() + 1
    return _nms_one_label(boxes.double() + (labels.double() * span)[:, None], nms_iou)


def _nms_one_label(boxes: Tensor, nms_iou: float) -> Tensor:
    """Rows that NMS keeps of boxes of one label, sorted best first; ranks replace the scores, so that there are no ties."""
    ranks = torch.arange(len(boxes), 0, -1, dtype=torch.float64, device=boxes.device)
    rows: Tensor = torchvision_nms(boxes.double(), ranks, nms_iou)
    return rows


def soft_nms(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor | None,
    *,
    kind: Literal["linear", "gaussian"],
    nms_iou: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 0.001,
    max_detections: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Soft-NMS: return rows and their reduced scores, best first by reduced score.

    The best box is kept. Every other box of its label, whose IoU with it is u, has its score multiplied by ``1 - u`` where u is
    greater than ``nms_iou`` (``"linear"``), or by ``exp(-u^2 / sigma)`` (``"gaussian"``). This repeats for the remaining boxes while
    scores are greater than ``min_score``, until ``max_detections`` boxes are kept. Among equal scores the first row is the best.

    Source: Soft-NMS (arXiv:1704.04503), figure 2 and equations (2) and (3); its published code has the defaults
    ``nms_iou=0.3``, ``sigma=0.5`` and ``min_score=0.001``.

    Args:
        boxes: ``(n, 4)`` boxes.
        scores: ``(n,)`` probabilities, not logits, which cannot be multiplied.
        labels: ``(n,)`` labels; boxes of different labels do not affect each other. ``None``: all boxes do.
        kind: Function that reduces the scores.
        nms_iou: For ``"linear"``: IoU above which a score is reduced.
        sigma: For ``"gaussian"``: width of the function.
        min_score: Reduced scores must be greater.
        max_detections: Maximum number of boxes to keep.
    """
    # Each step depends on the previous one, so this runs on the CPU and in numpy, whose calls take a tenth of the time of torch's.
    corners = np.ascontiguousarray(boxes.float().cpu().numpy().T)
    groups = None if labels is None else labels.cpu().numpy()
    rule = SoftRule(kind, nms_iou, sigma, min_score)
    kept = soft_nms_rows(corners, np.array(scores.float().cpu().numpy()), groups, rule, max_detections)
    rows, reduced = ([row for row, _ in kept], [score for _, score in kept])
    return torch.tensor(rows, dtype=torch.int64, device=boxes.device), torch.tensor(reduced, device=boxes.device)


def select(
    boxes: Tensor | Callable[[Selection], Tensor],
    scores: Tensor,
    *,
    min_score: float | None = None,
    pre_nms_top_k: int | None = None,
    pre_nms_top_k_per_class: int | None = None,
    levels: Sequence[int] | None = None,
    min_size: float = 0.0,
    nms_iou: float | None = 0.5,
    nms_per: str | None = "labels",
    nms: NMSKind = "hard",
    sigma: float = 0.5,
    max_detections: int | None = None,
) -> tuple[Tensor, Selection]:
    """Apply the score threshold, top-k per level, NMS, and the final top-k.

    Args:
        boxes: ``(N, 4)``, ``(N, K, 4)``, or a function that computes the ``(n, 4)`` boxes of the selected entries only.
        scores: ``(N, K)`` or ``(N,)``; see :func:`top_scores`.
        min_score: Scores must be greater, also after soft NMS.
        pre_nms_top_k: Maximum number of entries per level before NMS.
        pre_nms_top_k_per_class: Maximum number of entries per label before NMS.
        levels: Number of rows of each level, in order.
        min_size: Boxes with a side shorter than this many pixels are removed.
        nms_iou: IoU above which the lower-scoring of two boxes is removed (not used by ``"gaussian"``); ``None``: no NMS.
        nms_per: NMS runs separately per ``"labels"`` or per ``"levels"``; ``None``: over all boxes together.
        nms: ``"hard"`` removes the lower-scoring box; the soft kinds reduce its score, a probability; see :func:`soft_nms`.
        sigma: Width of the function for ``"gaussian"``.
        max_detections: Maximum number of boxes returned.

    Returns:
        ``(n, 4)`` float32 boxes and the selected entries, best first, with scores reduced by soft NMS.
    """
    selection = top_scores(scores, min_score=min_score, top_k=pre_nms_top_k, levels=levels)
    if pre_nms_top_k_per_class is not None:
        selection = selection[_top_per_label(selection, pre_nms_top_k_per_class)]
    selected_boxes, selection = _with_boxes(boxes, selection, min_size)
    groups = None if nms_per is None else getattr(selection, nms_per)
    if nms_iou is None or nms == "hard":
        keep = _hard_nms(selected_boxes, selection.scores, groups, nms_iou, max_detections)
        return selected_boxes[keep], selection[keep]
    options = {"nms_iou": nms_iou, "sigma": sigma, "min_score": min_score or 0.0}
    keep, reduced = soft_nms(selected_boxes, selection.scores, groups, kind=nms, max_detections=max_detections, **options)
    return selected_boxes[keep], replace(selection[keep], scores=reduced)


def _hard_nms(boxes: Tensor, scores: Tensor, groups: Tensor | None, nms_iou: float | None, max_detections: int | None) -> Tensor:
    """Rows kept by hard NMS, or by the final top-k alone without an ``nms_iou``, best first."""
    if nms_iou is None:
        return torch.sort(scores, descending=True, stable=True).indices[:max_detections]
    return batched_nms(boxes, scores, groups, nms_iou=nms_iou, max_detections=max_detections)


def _with_boxes(boxes: Tensor | Callable[[Selection], Tensor], selection: Selection, min_size: float) -> tuple[Tensor, Selection]:
    """The boxes of the selected entries, and these entries, without those whose boxes are too small."""
    if not isinstance(boxes, Tensor):
        selected_boxes = boxes(selection).float()
    else:
        selected_boxes = (boxes[selection.rows] if boxes.ndim == 2 else boxes[selection.rows, selection.labels]).float()
    if min_size <= 0:
        return selected_boxes, selection
    valid = valid_boxes(selected_boxes, min_size).nonzero().flatten()
    return selected_boxes[valid], selection[valid]
