"""Merging of the detections that several views of one image give; numpy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from detkit.arrays import Floats, Integers
from detkit.ops.box_arrays import covered_fraction, overlap_of_smaller
from detkit.ops.fuse import weighted_boxes_fusion
from detkit.ops.masks.grids import joined_grid, mean_grids
from detkit.ops.select_arrays import NMSKind, SoftRule, batched_nms_rows, soft_nms_rows
from detkit.structures.detection import DetectionArrays

_COVERED = 0.5
"""Fraction of a cut box inside a complete one from which they show the same object, and overlap, over the smaller, of two cut ones."""

Merge = Literal[NMSKind, "fusion"]


@dataclass(frozen=True)
class Merging:
    """The way in which overlapping detections become one.

    Attributes:
        kind: ``"hard"``, ``"linear"`` or ``"gaussian"`` NMS, or ``"fusion"``.
        iou: IoU above which detections of one class are merged.
        sigma: Width of the Gaussian in ``"gaussian"`` NMS.
    """

    kind: Merge = "hard"
    iou: float = 0.5
    sigma: float = 0.5

    def __post_init__(self) -> None:
        if self.kind not in (kinds := (*get_args(NMSKind), "fusion")):
            raise ValueError(f"merge {self.kind!r}: expected one of {', '.join(kinds)}")
        if not 0 <= self.iou <= 1:
            raise ValueError(f"merge_iou: expected a number from 0 to 1, got {self.iou:g}")
        if not self.sigma > 0:
            raise ValueError(f"sigma: expected a number above 0, got {self.sigma:g}")

    @property
    def name(self) -> str:
        """The method, for people."""
        return self.kind if self.kind == "fusion" else f"{self.kind} NMS"

    def __call__(self, rows: DetectionArrays, sources: Callable[[Floats], Integers], limit: int | None) -> DetectionArrays:
        """Return the merged detections, best first.

        Args:
            rows: Detections of all views, in pixels of the image.
            sources: Returns the number of views that could have found each of some boxes ``(n, 4)``.
            limit: Maximum number of merged detections; None: all.
        """
        columns = rows.boxes, rows.scores, rows.labels
        if self.kind == "hard":
            return rows[batched_nms_rows(*columns, self.iou, limit)]
        if self.kind == "fusion":
            fused = weighted_boxes_fusion(*columns, sources=sources, merge_iou=self.iou, max_detections=limit)
            grids = rows.mask_probabilities
            masks = {} if grids is None else {"mask_probabilities": mean_grids(grids, rows.scores, fused.members)}
            return rows.replace(boxes=fused.boxes, scores=fused.scores, labels=fused.labels, masks=None, **masks)
        rule = SoftRule(self.kind, self.iou, self.sigma, 0.0)
        kept = soft_nms_rows(np.ascontiguousarray(rows.boxes.T), rows.scores.copy(), rows.labels, rule, limit)
        indices = np.array([row for row, _ in kept], np.int64)
        return rows[indices].replace(scores=np.array([score for _, score in kept], np.float32))


def with_joined(complete: DetectionArrays, cut: DetectionArrays) -> DetectionArrays:
    """Return merged detections of complete objects, and those of objects that are cut in every tile, best first.

    Detections that end at the edge of a tile count only if no complete one of their class covers half of them. Those of one object, which
    overlap where tiles do, become the box around them, with the best of their scores. (SAHI, arXiv:2202.06934, joins all overlapping
    detections in this way.)

    Args:
        complete: Merged detections of complete objects.
        cut: Detections that end at the edge of a tile, of all tiles.
    """
    parts, order = [complete], np.argsort(-cut.scores, kind="stable")
    for label in np.unique(cut.labels):
        rows = order[cut.labels[order] == label]
        for box, members in _joined(cut.boxes[rows], complete.boxes[complete.labels == label]):
            parts.append(_as_one(cut[rows[members]], box))
    rows = DetectionArrays.cat(parts)
    return rows[np.argsort(-rows.scores, kind="stable")]


def _as_one(parts: DetectionArrays, box: Floats) -> DetectionArrays:
    """Return the best of the parts of an object with the box around all of them, and with the masks of all."""
    grids = parts.mask_probabilities
    masks = {} if grids is None else {"mask_probabilities": joined_grid(grids, parts.boxes, box)[None]}
    return parts[:1].replace(boxes=box[None], **masks)


def _joined(cut: Floats, complete: Floats) -> list[tuple[Floats, list[int]]]:
    """Return the boxes around cut boxes of one label, best first, that complete ones do not cover, and the rows of each, best first."""
    covered = [len(complete) > 0 and float(covered_fraction(box, complete).max()) >= _COVERED for box in cut]
    waiting = np.flatnonzero(~np.array(covered, np.bool_))
    joined = []
    while len(waiting):
        first, waiting = int(waiting[0]), waiting[1:]
        box, members = cut[first], [first]
        while (near := overlap_of_smaller(box, cut[waiting]) >= _COVERED).any():
            corners = np.concatenate((box[None], cut[waiting[near]]))
            box = np.concatenate((corners[:, :2].min(0), corners[:, 2:].max(0)))
            members += waiting[near].tolist()
            waiting = waiting[~near]
        joined.append((box, members))
    return joined
