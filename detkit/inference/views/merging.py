"""Merging of the detections that several views of one image give; numpy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from detkit.arrays import Floats, Integers
from detkit.ops.fuse import weighted_boxes_fusion
from detkit.ops.select_arrays import NMSKind, SoftRule, batched_nms_rows, soft_nms_rows
from detkit.structures.detection import DetectionArrays

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
            boxes, scores, labels = weighted_boxes_fusion(*columns, sources=sources, merge_iou=self.iou, max_detections=limit)
            return rows.replace(boxes=boxes, scores=scores, labels=labels)
        rule = SoftRule(self.kind, self.iou, self.sigma, 0.0)
        kept = soft_nms_rows(np.ascontiguousarray(rows.boxes.T), rows.scores.copy(), rows.labels, rule, limit)
        indices = np.array([row for row, _ in kept], np.int64)
        return rows[indices].replace(scores=np.array([score for _, score in kept], np.float32))
