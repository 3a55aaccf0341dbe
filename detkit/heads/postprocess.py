"""The numbers by which scored boxes become detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from pydantic import Field
from torch import Tensor

from detkit.config import Config
from detkit.ops.select import NMSKind, Selection, select


class PostprocessConfig(Config):
    """Threshold, best candidates, suppression of overlaps, best detections; see :func:`detkit.ops.select.select`."""

    min_score: float = Field(0.05, ge=0, lt=1)
    """Detections must score more."""
    pre_nms_top_k: int | None = Field(1000, ge=1)
    """Best entries of each level that enter suppression; none: all."""
    pre_nms_top_k_per_class: int | None = Field(None, ge=1)
    """Best entries of each class that enter suppression, as SSD counts them; none: all."""
    nms_iou: float | None = Field(0.5, ge=0, le=1)
    """Greatest IoU of two detections of one class that leave each other alone; none: nothing is suppressed."""
    nms: NMSKind = "hard"
    """The worse of two that overlap more falls (hard), or keeps a part of its score (linear, gaussian: Soft-NMS, arXiv:1704.04503)."""
    sigma: float = Field(0.5, gt=0)
    """For gaussian, which has no ``nms_iou``: scores are multiplied by exp(-IoU^2 / sigma), whatever the IoU."""
    class_agnostic: bool = False
    """Whether detections of different classes suppress each other too."""
    max_detections: int | None = Field(100, ge=1)
    """Detections of an image; none: all."""

    def without_nms(self) -> Self:
        """The same numbers for all candidates that there are, however they overlap."""
        return self.replace(nms_iou=None, max_detections=None)

    def choose(
        self, boxes: Tensor | Callable[[Selection], Tensor], scores: Tensor, levels: Sequence[int] | None = None, min_size: float = 0.0
    ) -> tuple[Tensor, Selection]:
        """``(n, 4)`` boxes and where they came from, best first, of one image's ``(N, K)`` probabilities; see ``select``."""
        return select(
            boxes,
            scores,
            min_score=self.min_score,
            pre_nms_top_k=self.pre_nms_top_k,
            pre_nms_top_k_per_class=self.pre_nms_top_k_per_class,
            levels=levels,
            min_size=min_size,
            nms_iou=self.nms_iou,
            nms_per=None if self.class_agnostic else "labels",
            nms=self.nms,
            sigma=self.sigma,
            max_detections=self.max_detections,
        )
