"""Selection of detections for all images of a batch at once, in operations that every exported file can hold.

It returns what :func:`detkit.ops.select.select` returns for each image, except that of equal scores another can come first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from detkit.export.nms import kept_by_nms
from detkit.heads.postprocess import PostprocessConfig

REMOVED = -1.0
"""Score of entries that were removed."""
_ALL = 1 << 30


@dataclass(frozen=True, eq=False)
class Entries:
    """Entries of a table of scores, M of each image.

    Attributes:
        scores: ``(B, M)``; :data:`REMOVED` for entries that were removed.
        rows: ``(B, M)`` rows of the table.
        labels: ``(B, M)`` columns of the table.
    """

    scores: Tensor
    rows: Tensor
    labels: Tensor

    def at(self, indices: Tensor) -> Entries:
        """Return the entries ``(B, n)`` at these positions."""
        return Entries(*(part.gather(1, indices) for part in (self.scores, self.rows, self.labels)))

    def without(self, removed: Tensor) -> Entries:
        """Return the same entries, of which those that ``removed (B, M)`` marks are removed."""
        return Entries(self.scores.masked_fill(removed, REMOVED), self.rows, self.labels)


@dataclass(frozen=True, eq=False)
class BoxSource:
    """Where the boxes of entries come from.

    Attributes:
        decode: Returns the boxes ``(B, M, 4)`` of entries.
        sizes: ``(B, 2)`` height and width of the images, to which boxes are clipped.
        by_class: Whether the box of a row depends on the label.
        min_size: Boxes with a side shorter than this many pixels are removed.
    """

    decode: Callable[[Entries], Tensor]
    sizes: Tensor
    by_class: bool = False
    min_size: float = 0.0

    def __call__(self, entries: Entries) -> Tensor:
        """Return the boxes ``(B, M, 4)`` of entries, clipped to the images."""
        limits = self.sizes.flip(1).repeat(1, 2).to(torch.float32)[:, None]
        return torch.minimum(self.decode(entries).float().clamp(min=0), limits)

    def too_small(self, boxes: Tensor) -> Tensor:
        """Return ``(B, M)``, which boxes are too small."""
        return (boxes[..., 2:] - boxes[..., :2] < self.min_size).any(-1)


@dataclass(frozen=True, eq=False)
class Selected:
    """The detections of each image of a batch, best first, padded to one number.

    Attributes:
        boxes: ``(B, D, 4)``, 0 where there is no detection.
        scores: ``(B, D)``, 0 where there is none.
        labels: ``(B, D)`` int64, -1 where there is none.
        counts: ``(B,)`` int64, number of detections.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    counts: Tensor


def unsupported(rules: PostprocessConfig) -> str | None:
    """Return why an exported file cannot select detections by these rules; None: it can."""
    if rules.nms_iou is not None and rules.nms != "hard":
        return f"it selects detections with Soft-NMS (nms={rules.nms}), for which there is no operator"
    return None


def select(scores: Tensor, boxes: BoxSource, rules: PostprocessConfig, levels: Sequence[Tensor | int] = ()) -> Selected:
    """Select the detections of each image: threshold, top-k, boxes clipped to the image, NMS, top-k.

    Args:
        scores: ``(B, N, K)`` scores.
        boxes: Where the boxes come from.
        rules: How detections are selected.
        levels: Number of rows of each level; empty: one level.
    """
    if rules.nms_iou is None or rules.pre_nms_top_k is not None or rules.class_agnostic:
        entries = _candidates(scores, rules, levels)
        if boxes.min_size > 0 or rules.nms_iou is not None:
            entries = _after_nms(entries, boxes, rules, scores.shape[2])
    else:
        entries = _after_nms_by_class(scores, boxes, rules)
    return _best(entries, boxes, rules.max_detections)


def select_from(entries: Entries, boxes: BoxSource, rules: PostprocessConfig, groups: int) -> Selected:
    """Select from given entries: boxes clipped to the image, NMS within each of ``groups`` labels, top-k."""
    return _best(_after_nms(entries, boxes, rules, groups), boxes, rules.max_detections)


def top_entries(scores: Tensor, top_k: int | None) -> Entries:
    """Return the ``top_k`` highest entries of each image of a table ``(B, N, K)``, best first, or all in order.

    A table with fewer entries is filled up with removed ones.
    """
    columns = scores.shape[2]
    if top_k is None:
        flat = scores.flatten(1)
        indices = torch.arange(flat.shape[1], device=scores.device).expand_as(flat)
        return Entries(flat, indices // columns, indices % columns)
    # The highest entries are in the rows with the highest maxima.
    _, rows = _filled(scores.amax(2), top_k).topk(top_k, 1)
    real = _at_most_last(rows, scores)
    table = scores.gather(1, real[..., None].expand(-1, -1, columns)).masked_fill((rows != real)[..., None], REMOVED)
    values, indices = table.flatten(1).topk(top_k, 1)
    return Entries(values, real.gather(1, indices // columns), indices % columns)


def merged(parts: Sequence[Entries]) -> Entries:
    """Return the entries of several tables, one after the other."""
    return Entries(*(torch.cat([getattr(part, name) for part in parts], 1) for name in ("scores", "rows", "labels")))


def level_of_rows(levels: Sequence[Tensor | int], rows: Tensor) -> Tensor:
    """Return the level of each row, by the number of rows of each level."""
    level, end = torch.zeros_like(rows), torch.zeros_like(rows[:1, :1])
    for length in levels[:-1]:
        end = end + length
        level = level + (rows >= end)
    return level


def _candidates(scores: Tensor, rules: PostprocessConfig, levels: Sequence[Tensor | int]) -> Entries:
    """The highest entries of each level, without those that score too little."""
    if rules.pre_nms_top_k is None or len(levels) <= 1:
        entries = top_entries(scores, rules.pre_nms_top_k)
    else:
        start: Tensor | int = 0
        parts = []
        for length in levels:
            part = top_entries(scores[:, start : start + length], rules.pre_nms_top_k)
            parts.append(Entries(part.scores, part.rows + start, part.labels))
            start = start + length
        entries = merged(parts)
    entries = entries.without(entries.scores <= rules.min_score)
    if rules.pre_nms_top_k_per_class is None:
        return entries
    values, indices = _top_per_class(_by_group(entries.scores, entries.labels, scores.shape[2]), rules.pre_nms_top_k_per_class)
    kept = entries.at(indices.flatten(1))
    return Entries(values.flatten(1), kept.rows, kept.labels)


def _after_nms(entries: Entries, boxes: BoxSource, rules: PostprocessConfig, classes: int) -> Entries:
    """Remove boxes that are too small, then what NMS removes, of entries in any order."""
    decoded = boxes(entries)
    if boxes.min_size > 0:
        entries = entries.without(boxes.too_small(decoded))
    if rules.nms_iou is None:
        return entries
    grouped = entries.scores[:, None] if rules.class_agnostic else _by_group(entries.scores, entries.labels, classes)
    kept = kept_by_nms(decoded, grouped, rules.nms_iou, rules.min_score, rules.max_detections or _ALL)
    return entries.without(~kept.any(1))


def _after_nms_by_class(scores: Tensor, boxes: BoxSource, rules: PostprocessConfig) -> Entries:
    """The entries that NMS keeps of all entries, or of the highest of each class; class by class."""
    table = scores.transpose(1, 2)
    table = table.masked_fill(table <= rules.min_score, REMOVED)
    rows = torch.arange(scores.shape[1], device=scores.device).expand_as(table)
    if rules.pre_nms_top_k_per_class is not None:
        table, rows = _top_per_class(table, rules.pre_nms_top_k_per_class)
    labels = torch.arange(scores.shape[2], device=scores.device)[:, None].expand_as(table)
    entries = Entries(table.flatten(1), rows.flatten(1), labels.flatten(1))
    nms = (0.0 if rules.nms_iou is None else rules.nms_iou, rules.min_score, rules.max_detections or _ALL)
    if not boxes.by_class and rules.pre_nms_top_k_per_class is None:
        decoded = boxes(Entries(table[:, 0], rows[:, 0], labels[:, 0]))
        if boxes.min_size > 0:
            table = table.masked_fill(boxes.too_small(decoded)[:, None], REMOVED)
        return Entries(table.flatten(1), entries.rows, entries.labels).without(~kept_by_nms(decoded, table, *nms).flatten(1))
    decoded = boxes(entries)
    if boxes.min_size > 0:
        entries = entries.without(boxes.too_small(decoded))
    grouped = entries.scores.reshape(-1, 1, table.shape[2])
    kept = kept_by_nms(decoded.reshape(-1, table.shape[2], 4), grouped, *nms)
    return entries.without(~kept.reshape(entries.scores.shape))


def _best(entries: Entries, boxes: BoxSource, limit: int | None) -> Selected:
    """The highest entries that are left, padded to ``limit``, or to all."""
    scores = entries.scores if limit is None else _filled(entries.scores, limit)
    best, indices = scores.topk(scores.shape[1] if limit is None else limit, 1)
    kept, real = entries.at(_at_most_last(indices, entries.scores)), best > REMOVED
    return Selected(
        boxes(kept) * real[..., None],
        best * real,
        torch.where(real, kept.labels, torch.full_like(kept.labels, -1)),
        real.sum(1),
    )


def _by_group(scores: Tensor, groups: Tensor, count: int) -> Tensor:
    """Repeat ``(B, M)`` scores for each of ``count`` groups, ``(B, count, M)``, removed but in their own."""
    own = groups[:, None] == torch.arange(count, device=groups.device)[:, None]
    return torch.where(own, scores[:, None], REMOVED)


def _top_per_class(table: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """Scores and positions ``(B, K, top_k)`` of the highest entries of each row of ``(B, K, M)``, filled up with removed ones."""
    values, indices = _filled(table, top_k).topk(top_k, -1)
    return values, _at_most_last(indices, table.transpose(1, 2))


def _filled(scores: Tensor, count: int) -> Tensor:
    """Append ``count`` removed entries in the last dimension, so that there are that many on the smallest image."""
    return functional.pad(scores, (0, count), value=REMOVED)


def _at_most_last(rows: Tensor, table: Tensor) -> Tensor:
    """Replace rows behind the end of a table ``(B, N, ...)`` by its last one."""
    return torch.minimum(rows, torch.zeros_like(rows) + (table.shape[1] - 1))
