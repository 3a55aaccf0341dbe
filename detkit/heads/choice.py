"""The numbers by which scored boxes become detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import Field
from torch import Tensor

from detkit.config import Config
from detkit.ops.select import Chosen, select


class ChoiceConfig(Config):
    """Threshold, best candidates, suppression of overlaps, best detections; see :func:`detkit.ops.select.select`."""

    min_score: float = Field(0.05, ge=0, lt=1)
    """Detections must score more."""
    candidates: int | None = Field(1000, ge=1)
    """Best entries of each level that enter suppression; none: all."""
    max_overlap: float | None = Field(0.5, ge=0, le=1)
    """Greatest IoU of two detections of one class; none: nothing is suppressed."""
    limit: int | None = Field(100, ge=1)
    """Detections of an image; none: all."""

    def choose(
        self, boxes: Tensor | Callable[[Chosen], Tensor], scores: Tensor, levels: Sequence[int] | None = None
    ) -> tuple[Tensor, Chosen]:
        """``(n, 4)`` boxes and where they came from, best first, of one image's ``(N, K)`` probabilities."""
        return select(
            boxes,
            scores,
            min_score=self.min_score,
            candidates=self.candidates,
            levels=levels,
            max_overlap=self.max_overlap,
            limit=self.limit,
        )
