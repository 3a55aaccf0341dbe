"""From many scored boxes to the few worth reporting: threshold, best, suppression of overlaps, best.

Order never depends on chance: equal scores keep the order of their rows. Labels are kept apart by shifting boxes in
float64, or one after another, so a thousand classes cost no precision. Suppression is hard (what overlaps a better box
falls) or soft (it loses score instead).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import ops

from detkit.ops.boxes import valid_boxes

NMSKind = Literal["hard", "linear", "gaussian"]
"""What becomes of a box that overlaps a better one: it falls, or its score is multiplied; see :func:`soft_nms`."""

FIRST_LOOK = 512
"""Candidates that :func:`batched_nms` begins with; it looks further only while too few survive."""
PAIRS_PER_LABEL = 40_000
"""Pairs of boxes that cost a CPU as much time as one more call of the suppression kernel."""
WITHOUT_FLOAT64 = ("mps",)
"""Kinds of devices for which :func:`batched_nms` works on the CPU."""


@dataclass(frozen=True, eq=False)
class Selection:
    """Entries of a score table, best first: ``scores`` (n,) float32, and the ``rows``, ``labels`` and ``levels`` they came from."""

    scores: Tensor
    rows: Tensor
    labels: Tensor
    levels: Tensor

    def __getitem__(self, index: Tensor) -> Selection:
        return Selection(self.scores[index], self.rows[index], self.labels[index], self.levels[index])

    def __len__(self) -> int:
        return len(self.scores)


def top_scores(
    scores: Tensor, *, min_score: float | None = None, max_detections: int | None = None, levels: Sequence[int] | None = None
) -> Selection:
    """The best ``max_detections`` entries above ``min_score`` of an ``(N, K)`` or ``(N,)`` score table.

    Args:
        scores: Probabilities, or logits with a threshold to match; anything that sorts.
        min_score: Entries must be greater; ``None`` lets all pass.
        max_detections: At most so many of each level.
        levels: Rows that belong to each level, in order; one level unless given.
    """
    table = scores.float() if scores.ndim == 2 else scores.float()[:, None]
    counts = [len(table)] if levels is None else list(levels)
    parts, start = [], 0
    for level, count in enumerate(counts):
        values, rows, labels = _best_entries(table[start : start + count], min_score, max_detections)
        parts.append(Selection(values, rows + start, labels, torch.full_like(rows, level)))
        start += count
    if len(parts) == 1:
        return parts[0]
    return Selection(*(torch.cat([getattr(part, name) for part in parts]) for name in ("scores", "rows", "labels", "levels")))


def _best_entries(table: Tensor, min_score: float | None, max_detections: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, rows and columns of the best entries, best first; among equals the first."""
    columns = table.shape[1]
    # The best entries lie in the rows with the best peaks: looking at those alone spares most of a large table.
    rows = _promising(table.amax(1), min_score, max_detections) if columns > 1 else None
    flat = (table if rows is None else table[rows]).reshape(-1)
    locations = _promising(flat, min_score, max_detections)
    values, order = torch.sort(flat if locations is None else flat[locations], descending=True, stable=True)
    order = order[:max_detections]
    locations = order if locations is None else locations[order]
    row = torch.div(locations, columns, rounding_mode="floor")
    return values[:max_detections], row if rows is None else rows[row], locations - row * columns


def _promising(values: Tensor, min_score: float | None, max_detections: int | None) -> Tensor | None:
    """Places, ascending, of all that can be among the best ``max_detections`` above ``min_score``; ``None``: every place."""
    locations = None
    if min_score is not None:
        locations = (values > min_score).nonzero().flatten()
        values = values[locations]
    if max_detections is not None and len(values) > max_detections:
        worst = torch.topk(values, max_detections, sorted=False).values.min()
        near = (values >= worst).nonzero().flatten()
        locations = near if locations is None else locations[near]
    return locations


def _best_of_each_label(selection: Selection, max_detections: int) -> Tensor:
    """Places, ascending, of the best ``max_detections`` entries of each label; among equals the first."""
    order = torch.sort(selection.scores, descending=True, stable=True).indices
    order = order[torch.sort(selection.labels[order], stable=True).indices]
    counts = torch.bincount(selection.labels)
    starts = counts.cumsum(0) - counts
    rank = torch.arange(len(order), device=order.device) - starts[selection.labels[order]]
    return order[rank < max_detections].sort().values


def batched_nms(boxes: Tensor, scores: Tensor, labels: Tensor | None, *, nms_iou: float, max_detections: int | None = None) -> Tensor:
    """Rows that greedy non-maximum suppression leaves, best first, at most ``max_detections``.

    A box falls to a better one whose IoU with it is greater than ``nms_iou``, if both have the same label (any label where
    ``labels`` is ``None``). What survives among the best boxes does not depend on the others, so only as many are looked at
    as it takes to find ``max_detections`` survivors.
    """
    device = boxes.device
    if device.type in WITHOUT_FLOAT64:
        boxes, scores, labels = boxes.cpu(), scores.cpu(), None if labels is None else labels.cpu()
    order = torch.sort(scores, descending=True, stable=True).indices
    look = len(order) if max_detections is None else min(len(order), max(FIRST_LOOK, 2 * max_detections))
    while True:
        seen = order[:look]
        kept = _suppress_sorted(boxes[seen].float(), None if labels is None else labels[seen], nms_iou)
        if look == len(order) or (max_detections is not None and len(kept) >= max_detections):
            return seen[kept[:max_detections]].to(device)
        look = min(len(order), 4 * look)


def _suppress_sorted(boxes: Tensor, labels: Tensor | None, nms_iou: float) -> Tensor:
    """Rows that survive, ascending; the boxes come best first."""
    if labels is None or not len(boxes):
        return _survivors(boxes, nms_iou)
    if boxes.device.type == "cpu":
        order = torch.sort(labels, stable=True).indices
        counts: list[int] = torch.unique_consecutive(labels[order], return_counts=True)[1].tolist()
        if len(boxes) ** 2 > PAIRS_PER_LABEL * len(counts):
            parts = torch.split(order, counts)
            return torch.cat([rows[_survivors(boxes[rows], nms_iou)] for rows in parts]).sort().values
    span = boxes.amax() - boxes.amin() + 1
    return _survivors(boxes.double() + (labels.double() * span)[:, None], nms_iou)


def _survivors(boxes: Tensor, nms_iou: float) -> Tensor:
    """Rows that survive among boxes of one label, which come best first; ranks stand for scores, so that none are equal."""
    ranks = torch.arange(len(boxes), 0, -1, dtype=torch.float64, device=boxes.device)
    rows: Tensor = ops.nms(boxes.double(), ranks, nms_iou)
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
    """Soft suppression: rows, best first by what is left of their scores, and those scores.

    The best box is taken; every other of its label, whose IoU with it is u, has its score multiplied: by ``1 - u`` where u
    is greater than ``nms_iou`` (``"linear"``), or by ``exp(-u^2 / sigma)`` (``"gaussian"``); and so on with the rest, while
    scores are greater than ``min_score``, until there are ``max_detections``. Among equals the first row is the best.

    Source: Soft-NMS (arXiv:1704.04503), figure 2 and equations (2) and (3); its published code has the defaults
    ``nms_iou=0.3``, ``sigma=0.5`` and ``min_score=0.001``.

    Args:
        boxes: ``(n, 4)``.
        scores: ``(n,)`` probabilities; logits cannot be multiplied.
        labels: ``(n,)``; boxes of different labels leave each other alone. ``None``: none does.
        kind: How a score shrinks.
        nms_iou: For ``"linear"``.
        sigma: For ``"gaussian"``.
        min_score: What is left must be greater.
        max_detections: At most so many.
    """
    # Each step waits for the one before, so this runs on the CPU and in numpy, whose calls cost a tenth of torch's.
    corners = np.ascontiguousarray(boxes.float().cpu().numpy().T)
    groups = None if labels is None else labels.cpu().numpy()
    taken = _taken(corners, np.array(scores.float().cpu().numpy()), groups, (kind, nms_iou, sigma), min_score, max_detections)
    rows, kept = ([row for row, _ in taken], [score for _, score in taken])
    return torch.tensor(rows, dtype=torch.int64, device=boxes.device), torch.tensor(kept, device=boxes.device)


def _taken(
    corners: NDArray[np.float32],
    left: NDArray[np.float32],
    groups: NDArray[np.int64] | None,
    rule: tuple[str, float, float],
    min_score: float,
    max_detections: int | None,
) -> list[tuple[int, float]]:
    """Rows and what is left of their scores, best first; ``left`` is used up."""
    taken: list[tuple[int, float]] = []
    while len(taken) < (len(left) if max_detections is None else min(max_detections, len(left))):
        row = int(left.argmax())
        if not left[row] > min_score:
            break
        taken.append((row, float(left[row])))
        factors = _factors(_overlaps(corners, row), *rule)
        left *= factors if groups is None else np.where(groups == groups[row], factors, np.float32(1))
        left[row] = -1
    return taken


def _factors(overlaps: NDArray[np.float32], kind: str, nms_iou: float, sigma: float) -> NDArray[np.float32]:
    """What scores are multiplied by whose boxes overlap the one taken so much."""
    if kind == "linear":
        return np.where(overlaps > nms_iou, 1 - overlaps, np.float32(1))
    found: NDArray[np.float32] = np.exp(overlaps * overlaps * np.float32(-1 / sigma))
    return found


def _overlaps(corners: NDArray[np.float32], row: int) -> NDArray[np.float32]:
    """``(n,)`` IoU of one of ``n`` boxes, given as ``(4, n)``, with all of them."""
    x1, y1, x2, y2 = corners
    shared = np.maximum(np.minimum(x2, x2[row]) - np.maximum(x1, x1[row]), 0)
    shared *= np.maximum(np.minimum(y2, y2[row]) - np.maximum(y1, y1[row]), 0)
    areas = (x2 - x1) * (y2 - y1)
    found: NDArray[np.float32] = shared / np.maximum(areas + areas[row] - shared, np.finfo(np.float32).tiny)
    return found


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
    """Threshold, best ``pre_nms_top_k`` of each level, suppression of overlaps, best ``max_detections``.

    Args:
        boxes: ``(N, 4)``, ``(N, K, 4)``, or a function that makes the ``(n, 4)`` boxes of the chosen entries alone.
        scores: ``(N, K)`` or ``(N,)``; see :func:`top_scores`.
        min_score: Entries must be greater, also after soft suppression.
        pre_nms_top_k: At most so many of each level before suppression.
        pre_nms_top_k_per_class: At most so many of each label before suppression.
        levels: Rows of each level, in order.
        min_size: Boxes with a shorter side than this many pixels are dropped.
        nms_iou: Greatest IoU of two boxes that leave each other alone (``"gaussian"`` has no such); ``None`` suppresses nothing.
        nms_per: Boxes of different ``"labels"`` or ``"levels"`` do not suppress each other; ``None``: all do.
        nms: ``"hard"`` lets the worse of two boxes fall; the soft ones shrink its score, a probability; see :func:`soft_nms`.
        sigma: For ``"gaussian"``.
        max_detections: At most so many in the end.

    Returns:
        ``(n, 4)`` float32 boxes and where they came from, best first, with what soft suppression left of their scores.
    """
    selection = top_scores(scores, min_score=min_score, max_detections=pre_nms_top_k, levels=levels)
    if pre_nms_top_k_per_class is not None:
        selection = selection[_best_of_each_label(selection, pre_nms_top_k_per_class)]
    found, selection = _with_boxes(boxes, selection, min_size)
    groups = None if nms_per is None else getattr(selection, nms_per)
    if nms_iou is None or nms == "hard":
        keep = _kept(found, selection.scores, groups, nms_iou, max_detections)
        return found[keep], selection[keep]
    numbers = {"nms_iou": nms_iou, "sigma": sigma, "min_score": min_score or 0.0}
    keep, left = soft_nms(found, selection.scores, groups, kind=nms, max_detections=max_detections, **numbers)
    return found[keep], replace(selection[keep], scores=left)


def _kept(boxes: Tensor, scores: Tensor, groups: Tensor | None, nms_iou: float | None, max_detections: int | None) -> Tensor:
    """Rows that hard suppression, or none at all, leaves, best first."""
    if nms_iou is None:
        return torch.sort(scores, descending=True, stable=True).indices[:max_detections]
    return batched_nms(boxes, scores, groups, nms_iou=nms_iou, max_detections=max_detections)


def _with_boxes(boxes: Tensor | Callable[[Selection], Tensor], selection: Selection, min_size: float) -> tuple[Tensor, Selection]:
    """The boxes of the chosen entries, and these, without the boxes that are too small."""
    if not isinstance(boxes, Tensor):
        found = boxes(selection).float()
    else:
        found = (boxes[selection.rows] if boxes.ndim == 2 else boxes[selection.rows, selection.labels]).float()
    if min_size <= 0:
        return found, selection
    valid = valid_boxes(found, min_size).nonzero().flatten()
    return found[valid], selection[valid]
