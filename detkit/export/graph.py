"""What of a one-stage detector goes into a file: from pixels to a score for every class and a box at every place."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from detkit.heads.one_stage import level_lengths
from detkit.layers import fold_batch_norms
from detkit.models.one_stage import OneStage
from detkit.structures import Batch


class Graph(nn.Module):
    """Networks and decoding in one; what is left outside is the choice among the boxes.

    Args:
        detector: Its batch norms are folded in a copy; what comes in is not changed.
    """

    def __init__(self, detector: OneStage) -> None:
        super().__init__()
        self.detector = cast("OneStage", fold_batch_norms(detector).requires_grad_(False).eval())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores ``(B, N, K)``, boxes ``(B, N, 4)`` as ``x1 y1 x2 y2`` in pixels of the tensor, and how many of the N each level has.

        Classes that are never reported score -1. Boxes may reach beyond the image.

        Args:
            images: ``(B, 3, H, W)`` float RGB in [0, 1], resized as the detector's config says, and filled at the right and the bottom
                with the detector's ``mean`` to sides that ``pad_multiple`` divides.
        """
        detector, count = self.detector, images.shape[0]
        normalized = (images - detector.mean) / detector.std
        batch = Batch(normalized, ((images.shape[-2], images.shape[-1]),) * int(count))
        outputs, locations = detector.split_outputs(detector.raw(batch), batch)
        scores = detector.head.scores(outputs)
        if detector.unreported is not None:
            scores = scores.masked_fill(detector.unreported, -1.0)
        rows = torch.arange(scores.shape[1], device=images.device)
        boxes = [detector.head.boxes_at(outputs, locations, image, rows, torch.zeros_like(rows)) for image in range(int(count))]
        return scores, torch.stack(boxes), level_lengths(locations)
