"""What an image truly shows."""

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
        is_crowd: ``(N,)`` bool, COCO's ``iscrowd``: never a positive, and anchors mostly inside are ignored.
        is_difficult: ``(N,)`` bool, VOC's ``difficult``: ignored by VOC AP, ordinary truth in COCO numbers.
        areas: ``(N,)`` float32 square pixels, as published (COCO gives the mask's area), else the box's.
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
        """Targets from boxes and labels, with no flags set and the boxes' own areas unless given."""
        no = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        return cls(boxes, labels, no if is_crowd is None else is_crowd, no if is_difficult is None else is_difficult, areas)

    def resized(self, size: tuple[float, float], new_size: tuple[float, float]) -> Targets:
        """See :meth:`Rows.resized`; areas grow with the image."""
        rows = super().resized(size, new_size)
        return rows.replace(areas=self.areas * (new_size[0] / size[0] * new_size[1] / size[1]))
