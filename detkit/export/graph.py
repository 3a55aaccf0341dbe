"""The exported part of a one-stage detector: from pixels to class scores and a box at every location."""

from __future__ import annotations

from typing import Any, cast, get_type_hints

import torch
from torch import Tensor, nn

from detkit.accelerate.fold import fold_batch_norms
from detkit.heads.one_stage import level_lengths
from detkit.models import MODELS
from detkit.models.detector import Detector
from detkit.models.one_stage import OneStage
from detkit.structures import Batch


class Graph(nn.Module):
    """Network and decoding of a detector, without thresholding and NMS.

    Args:
        detector: The detector; not modified, as batch norms are folded in a copy.

    Raises:
        ValueError: If the detector cannot be exported.
    """

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        if not detector.exportable:
            kinds = ", ".join(exportable_kinds())
            raise ValueError(f"{type(detector).__name__} cannot be exported: expected a one-stage detector: {kinds}")
        self.detector = cast("OneStage", fold_batch_norms(detector).requires_grad_(False).eval())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores, boxes and level lengths.

        Args:
            images: ``(B, 3, H, W)`` float RGB in [0, 1], resized according to the detector's config, and padded at the right and bottom
                with the detector's ``mean`` to multiples of ``pad_multiple``.

        Returns:
            Scores ``(B, N, K)``, -1 for classes that are never reported; boxes ``(B, N, 4)``, ``x1 y1 x2 y2`` in pixels of the tensor,
            which may extend beyond the image; and the number of the N locations in each level.
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


def exportable_kinds() -> tuple[str, ...]:
    """Return the kinds of models whose class can be exported, by the return type of each config's ``build``."""
    configs: dict[str, Any] = {kind: MODELS.get(kind) for kind in MODELS.names()}
    built = {kind: get_type_hints(config.build).get("return") for kind, config in configs.items()}
    return tuple(kind for kind, detector in built.items() if getattr(detector, "exportable", False))
