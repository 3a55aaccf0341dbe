"""Another input size every few steps, for whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, TypeVar

import numpy as np
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from detkit.config import Config
from detkit.structures import Rows, Size

R = TypeVar("R", bound=Rows)


class MultiScaleConfig(Config):
    """Sizes that batches are brought to, drawn anew every few steps.

    Source: YOLO9000 (arXiv:1612.08242), section 2, "Multi-Scale Training"; ``random_resize`` and ``preprocess`` in YOLOX's
    ``exp/yolox_base.py``, whose first steps, too, have images as they come.
    """

    min_size: int = Field(default=480, ge=1)
    """Pixels of the longest side in the batch, at the least."""
    max_size: int = Field(default=800, ge=1)
    """And at the most."""
    divisor: int = Field(default=32, ge=1)
    """Sizes are multiples of this number."""
    every_steps: int = Field(default=10, ge=1)
    """Steps that one size serves."""

    @model_validator(mode="after")
    def _has_sizes(self) -> Self:
        if not self.sizes:
            raise ValueError(
                f"least={self.min_size}, most={self.max_size}: there is no multiple of divisor={self.divisor} from one to the other"
            )
        return self

    @property
    def sizes(self) -> range:
        """All that may be drawn."""
        return range(-(-self.min_size // self.divisor) * self.divisor, self.max_size + 1, self.divisor)

    def side(self, seed: int, step: int) -> int | None:
        """Pixels of the longest side in the batches of ``step``, the same in all processes and after a resume; None: as they come."""
        block = step // self.every_steps
        return int(np.random.default_rng((seed, block)).choice(self.sizes)) if block else None


def new_sizes(sizes: Sequence[Size], side: int) -> list[Size]:
    """``(height, width)`` of the images of a batch once the longest of all their sides has ``side`` pixels."""
    factor = side / max(max(size) for size in sizes)
    return [(max(1, round(height * factor)), max(1, round(width * factor))) for height, width in sizes]


def resized_image(image: Tensor, size: Size) -> Tensor:
    """A ``(3, H, W)`` float image at another size, bilinear."""
    if tuple(image.shape[-2:]) == size:
        return image
    made: Tensor = functional.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
    return made


def resized_rows(rows: Sequence[R], sizes: Sequence[Size], new: Sequence[Size]) -> list[R]:
    """What is known about each image, after it was resized."""
    return [table.resized(old, size) for table, old, size in zip(rows, sizes, new, strict=True)]
