"""Base of the heads whose locations are queries, each predicting one object or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from detkit.heads.one_stage import OneStageHead, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.queries.matching import predicted_corners
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, StageExplanation, Targets


class QueryHead(OneStageHead):
    """Head with N queries and S stages, such as decoder layers; the last stage gives the detections.

    Its outputs are ``(B, N, S, ...)`` logits and ``(B, N, S, 4)`` boxes as center and size in pixels, where the logits may lack the first
    stages. Its locations are the queries, which have no coordinates: :meth:`locations` returns an empty row for each.

    Args:
        num_classes: K.
        num_queries: N.
        postprocess: How queries become detections.
    """

    num_outputs: ClassVar[int] = 2
    first_stages: ClassVar[tuple[str, ...]] = ()
    """Names of the stages before the decoder layers."""

    def __init__(self, num_classes: int, num_queries: int, postprocess: PostprocessConfig) -> None:
        super().__init__(num_classes, postprocess)
        self.num_queries = num_queries

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return one level of shape ``(N, 0)``: queries have no coordinates."""
        return [batch.images.new_zeros((self.num_queries, 0))]

    def stage_names(self, count: int) -> list[str]:
        """Return the names of the ``count`` stages with boxes; the last ones are the decoder layers."""
        first = list(self.first_stages)
        return first + [f"layer {index}" for index in range(1, count - len(first) + 1)]

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """See :meth:`OneStageHead.boxes`."""
        return predicted_corners(outputs[1][image, selection.rows, -1])

    @torch.no_grad()
    def explain(
        self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Targets, unreported: Tensor | None
    ) -> StageExplanation:
        """Explain the predictions for a batch of one image, including the boxes of every stage; see :meth:`OneStageHead.explain`."""
        boxes = predicted_corners(outputs[1][0]).unbind(1)
        stages = dict(zip(self.stage_names(len(boxes)), boxes, strict=True))
        return replace(super().explain(outputs, locations, batch, targets, unreported), refinement=stages)
