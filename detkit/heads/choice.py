"""The numbers by which scored boxes become detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from pydantic import Field
from torch import Tensor

from detkit.config import Config
from detkit.ops.select import Chosen, Suppression, select


class ChoiceConfig(Config):
    """Threshold, best candidates, suppression of overlaps, best detections; see :func:`detkit.ops.select.select`."""

    min_score: float = Field(0.05, ge=0, lt=1)
    """Detections must score more."""
    candidates: int | None = Field(1000, ge=1)
    """Best entries of each level that enter suppression; none: all."""
    class_candidates: int | None = Field(None, ge=1)
    """Best entries of each class that enter suppression, as SSD counts them; none: all."""
    max_overlap: float | None = Field(0.5, ge=0, le=1)
    """Greatest IoU of two detections of one class that leave each other alone; none: nothing is suppressed."""
    suppression: Suppression = "hard"
    """The worse of two that overlap more falls (hard), or keeps a part of its score (linear, gaussian: Soft-NMS, arXiv:1704.04503)."""
    sigma: float = Field(0.5, gt=0)
    """For gaussian, which has no ``max_overlap``: scores are multiplied by exp(-IoU^2 / sigma), whatever the IoU."""
    class_agnostic: bool = False
    """Whether detections of different classes suppress each other too."""
    limit: int | None = Field(100, ge=1)
    """Detections of an image; none: all."""

    def without_suppression(self) -> Self:
        """The same numbers for all candidates that there are, however they overlap."""
        return self.replace(max_overlap=None, limit=None)

    def choose(
        self, boxes: Tensor | Callable[[Chosen], Tensor], scores: Tensor, levels: Sequence[int] | None = None, min_size: float = 0.0
    ) -> tuple[Tensor, Chosen]:
        """``(n, 4)`` boxes and where they came from, best first, of one image's ``(N, K)`` probabilities; see ``select``."""
        return select(
            boxes,
            scores,
            min_score=self.min_score,
            candidates=self.candidates,
            label_candidates=self.class_candidates,
            levels=levels,
            min_size=min_size,
            max_overlap=self.max_overlap,
            apart=None if self.class_agnostic else "labels",
            suppression=self.suppression,
            sigma=self.sigma,
            limit=self.limit,
        )
