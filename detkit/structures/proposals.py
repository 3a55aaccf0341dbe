"""Region proposals of one image."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from detkit.structures.columns import column
from detkit.structures.rows import Rows


@dataclass(frozen=True, eq=False)
class Proposals(Rows):
    """Class-agnostic boxes of one image, best first.

    Attributes:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        scores: ``(N,)`` float32, higher is better; comparable only within one image.
    """

    scores: Tensor = field(metadata=column(torch.float32))
