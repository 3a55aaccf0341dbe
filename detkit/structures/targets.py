"""Ground truth of one image."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from detkit.structures.columns import column
from detkit.structures.masks import Masks
from detkit.structures.rows import Rows
from detkit.structures.segmentations import Segmentations


@dataclass(frozen=True, eq=False)
class Targets(Rows):
    """The labeled objects of one image.

    A new column is one field here; a reader whose format has it gives its values, and a writer writes them.

    Attributes:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        labels: ``(N,)`` int64, 0 to K - 1; background is not a label.
        is_crowd: ``(N,)`` bool, a region to ignore, such as COCO's ``iscrowd``: never a positive; anchors mostly inside are ignored, and
            detections of the class mostly inside are neither correct nor wrong.
        is_difficult: ``(N,)`` bool, VOC's ``difficult``: ignored by VOC AP; a crowd as well unless the data says otherwise.
        is_ignore: ``(N,)`` bool, a region to ignore for every class: a crowd as well, and its label is 0 without a meaning.
        areas: ``(N,)`` float32 square pixels, as published (in COCO the area of the mask), otherwise the area of the box.
        segmentations: Outlines or masks as published; None where no object of the data set has one. They are selected with their rows,
            but stay in pixels of the labeled image when it is resized, flipped or cropped.
        masks: The pixels of each object, which follow the image; None unless a model learns masks.
    """

    labels: Tensor = field(metadata=column(torch.int64))
    is_crowd: Tensor = field(metadata=column(torch.bool))
    is_difficult: Tensor = field(metadata=column(torch.bool))
    is_ignore: Tensor = field(metadata=column(torch.bool))
    areas: Tensor = field(metadata=column(torch.float32, follows="area"))
    segmentations: Segmentations | None = field(default=None, metadata=column(Segmentations))
    masks: Masks | None = field(default=None, metadata=column(Masks))

    @classmethod
    def of(cls, boxes: Tensor, labels: Tensor, is_crowd: Tensor | None = None, is_difficult: Tensor | None = None) -> Targets:
        """Create targets from boxes and labels, with the boxes' areas; flags that are not given are False."""
        return cls.filled(boxes, labels=labels, is_crowd=is_crowd, is_difficult=is_difficult)
