"""Ground truth of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from detkit.structures.rows import Rows


@dataclass(frozen=True, eq=False)
class Targets(Rows):
    """The labeled objects of one image.

    Attributes:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        labels: ``(N,)`` int64, 0 to K - 1; background is not a label.
        is_crowd: ``(N,)`` bool, COCO's ``iscrowd``: never a positive; anchors mostly inside are ignored.
        is_difficult: ``(N,)`` bool, VOC's ``difficult``: ignored by VOC AP, ordinary ground truth in COCO metrics.
        areas: ``(N,)`` float32 square pixels, as published (in COCO the area of the mask), otherwise the area of the box.
    """

    labels: Tensor
    is_crowd: Tensor
    is_difficult: Tensor
    areas: Tensor

    _dtypes: ClassVar[dict[str, torch.dtype]] = {
        "boxes": torch.float32,
        "labels": torch.int64,
        "is_crowd": torch.bool,
        "is_difficult": torch.bool,
        "areas": torch.float32,
    }

    @classmethod
    def of(cls, boxes: Tensor, labels: Tensor, is_crowd: Tensor | None = None, is_difficult: Tensor | None = None) -> Targets:
        """Create targets from boxes and labels, with the boxes' areas; flags that are not given are False."""
        unset = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return cls(boxes, labels, unset if is_crowd is None else is_crowd, unset if is_difficult is None else is_difficult, areas)

    def resized(self, size: tuple[float, float], new_size: tuple[float, float]) -> Targets:
        """Return the targets scaled as by :meth:`Rows.resized`, with their areas scaled too."""
        rows = super().resized(size, new_size)
        return rows.replace(areas=self.areas * (new_size[0] / size[0] * new_size[1] / size[1]))
