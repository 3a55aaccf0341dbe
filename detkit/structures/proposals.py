"""Region proposals of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from detkit.structures.rows import Rows


@dataclass(frozen=True, eq=False)
class Proposals(Rows):
    """Class-agnostic boxes of one image, best first.

    Attributes:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2``.
        scores: ``(N,)`` float32, higher is better; comparable only within one image.
    """

    scores: Tensor

    _dtypes: ClassVar[dict[str, torch.dtype]] = {"boxes": torch.float32, "scores": torch.float32}
