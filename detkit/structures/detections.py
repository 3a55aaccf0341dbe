"""What a detector says an image shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from detkit.structures.rows import Rows


@dataclass(frozen=True, eq=False)
class Detections(Rows):
    """The detections of one image, best first.

    Attributes:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        scores: ``(N,)`` float32 in [0, 1].
        labels: ``(N,)`` int64, 0 to K - 1.
    """

    scores: Tensor
    labels: Tensor

    _dtypes: ClassVar[dict[str, torch.dtype]] = {
        "boxes": torch.float32,
        "scores": torch.float32,
        "labels": torch.int64,
    }
