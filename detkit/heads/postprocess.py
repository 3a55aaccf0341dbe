"""Postprocessing parameters: how scored boxes become detections."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from pydantic import Field

from detkit.config import Config
from detkit.ops.select_arrays import NMSKind

if TYPE_CHECKING:
    from torch import Tensor

    from detkit.ops.select import Selection


class PostprocessConfig(Config):
    """Score threshold, top-k, NMS and the final limit; see :func:`detkit.ops.select.select`."""

    min_score: float = Field(0.05, ge=0, lt=1)
    """Detections must score more than this; 0.001 to 0.05 for evaluation, 0.2 to 0.5 for display."""
    pre_nms_top_k: int | None = Field(1000, ge=1)
    """Highest-scoring entries of each level that enter NMS; none: all."""
    pre_nms_top_k_per_class: int | None = Field(None, ge=1)
    """Highest-scoring entries of each class that enter NMS, as in SSD; none: all."""
    nms_iou: float | None = Field(0.5, ge=0, le=1)
    """IoU above which the lower-scoring of two boxes of a class is removed; usually 0.45 to 0.7; none: no NMS."""
    nms: NMSKind = "hard"
    """NMS variant: ``hard`` removes the lower-scoring of two overlapping boxes, ``linear`` and ``gaussian`` reduce its score (Soft-NMS,
    arXiv:1704.04503)."""
    sigma: float = Field(0.5, gt=0)
    """Used by ``gaussian`` only, which ignores ``nms_iou``: scores are multiplied by exp(-IoU^2 / sigma) at any IoU."""
    class_agnostic: bool = False
    """Whether NMS also compares detections of different classes."""
    max_detections: int | None = Field(100, ge=1)
    """Maximum number of detections per image; none: no limit."""

    def without_nms(self) -> Self:
        """Return the same parameters without NMS and without a limit on detections."""
        return self.replace(nms_iou=None, max_detections=None)

    def with_max_detections(self, limit: int) -> Self:
        """Return the same parameters with another limit on detections; as many enter NMS, at least.

        Raises:
            ConfigError: If the limit is below 1.
        """
        entering = {
            name: max(limit, number) for name in ("pre_nms_top_k", "pre_nms_top_k_per_class") if (number := getattr(self, name)) is not None
        }
        return self.replace(max_detections=limit, **entering)

    def select(
        self, boxes: Tensor | Callable[[Selection], Tensor], scores: Tensor, levels: Sequence[int] | None = None, min_size: float = 0.0
    ) -> tuple[Tensor, Selection]:
        """Select the best boxes of one image from its ``(N, K)`` probabilities; see :func:`detkit.ops.select.select`.

        Returns:
            ``(n, 4)`` boxes, best first, and the entries that they come from.
        """
        # An exported file is run with these parameters, but without torch, which the selection from tensors needs.
        selected: tuple[Tensor, Selection] = importlib.import_module("detkit.ops.select").select(
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
        return selected
