"""Non-maximum suppression as one operator of an exported file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from detkit.ops.select import batched_nms


class ExportedNMS(torch.autograd.Function):
    """ONNX's ``NonMaxSuppression``, which torch's exporter cannot write for batches and classes; equal to :func:`batched_nms`."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, scores: Tensor, nms_iou: float, min_score: float, limit: int) -> Tensor:
        """Return ``(n, 3)`` int64: group, class and row of each box that is kept.

        Args:
            ctx: Not used.
            boxes: ``(G, M, 4)`` boxes of each group.
            scores: ``(G, C, M)`` scores of each class; a box takes part in the classes for which its score is greater than ``min_score``.
            nms_iou: IoU above which the lower-scoring of two boxes of a group and class is removed.
            min_score: Lowest score, exclusive.
            limit: Maximum number of boxes per group and class.
        """
        kept = []
        for group, class_index in (scores > min_score).any(2).nonzero().tolist():
            rows = (scores[group, class_index] > min_score).nonzero().flatten()
            best = batched_nms(boxes[group, rows], scores[group, class_index, rows], None, nms_iou=nms_iou, max_detections=limit)
            kept += [(group, class_index, row) for row in rows[best].tolist()]
        return torch.tensor(kept, dtype=torch.int64).reshape(-1, 3)

    @staticmethod
    def symbolic(g: Any, boxes: Any, scores: Any, nms_iou: float, min_score: float, limit: int) -> Any:
        """Write the operator."""
        constants = (
            torch.tensor([limit], dtype=torch.int64),
            torch.tensor([nms_iou], dtype=torch.float32),
            torch.tensor([min_score], dtype=torch.float32),
        )
        return g.op("NonMaxSuppression", boxes, scores, *(g.op("Constant", value_t=value) for value in constants))


def kept_by_nms(boxes: Tensor, scores: Tensor, nms_iou: float, min_score: float, limit: int) -> Tensor:
    """Return ``(G, C, M)`` bool, which boxes NMS keeps; arguments as in :meth:`ExportedNMS.forward`."""
    rows: Tensor = ExportedNMS.apply(boxes, scores, nms_iou, min_score, limit)  # type: ignore[no-untyped-call]
    classes, count = scores.shape[1], scores.shape[2]
    flat = (rows[:, 0] * classes + rows[:, 1]) * count + rows[:, 2]
    kept = torch.zeros_like(scores).reshape(-1).scatter(0, flat, torch.ones_like(flat, dtype=scores.dtype))
    return kept.reshape(scores.shape) > 0
