"""Multi-scale training: a new input size for whole batches every few steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from detkit.config import Config
from detkit.data.augment.schedule import WHOLE_TRAINING, Span, is_within
from detkit.preprocess import PreprocessConfig, as_input
from detkit.structures import Proposals, Rows, Size, Targets

if TYPE_CHECKING:
    from detkit.data.loader import SampleBatch

R = TypeVar("R", bound=Rows)


class MultiScaleConfig(Config):
    """Sizes to which batches are resized; a new one is drawn every few steps.

    Source: YOLO9000 (arXiv:1612.08242), section 2, "Multi-Scale Training"; ``random_resize`` and ``preprocess`` in YOLOX's
    ``exp/yolox_base.py``, whose first steps also use images at their original size. ``base_size_repeat`` and the end: ``generate_scales``
    and ``BatchImageCollateFunction`` in D-FINE's ``data/dataloader.py``.
    """

    min_size: int = Field(default=480, ge=1)
    """Smallest longest side in pixels of the images of a batch."""
    max_size: int = Field(default=800, ge=1)
    """Largest longest side in pixels of the images of a batch."""
    divisor: int = Field(default=32, ge=1)
    """Sizes are multiples of this number."""
    every_steps: int = Field(default=10, ge=1)
    """Steps for which a size is used."""
    base_size: int | None = Field(default=None, ge=1)
    """Size that is drawn more often than the others, usually that of the model's input."""
    base_size_repeat: int = Field(default=1, ge=1)
    """How many times as often ``base_size`` is drawn as each other size; RT-DETR uses 3, D-FINE 3 to 20."""
    between: Span = WHOLE_TRAINING
    """Fractions of the training from which and until which batches are resized."""

    @model_validator(mode="after")
    def _check_sizes(self) -> Self:
        if not self.sizes:
            raise ValueError(
                f"min_size={self.min_size}, max_size={self.max_size}: expected a multiple of divisor={self.divisor} between them, got none"
            )
        if self.base_size is not None and self.base_size not in self.sizes:
            raise ValueError(f"base_size: expected one of {', '.join(map(str, self.sizes))}, got {self.base_size}")
        return self

    @property
    def sizes(self) -> range:
        """All sizes that can be drawn."""
        return range(-(-self.min_size // self.divisor) * self.divisor, self.max_size + 1, self.divisor)

    def side(self, seed: int, step: int, progress: float = 0.0) -> int | None:
        """Return the longest side in pixels for the batches of ``step``; None for the original size.

        It is the same in all processes and after a resume.

        Args:
            seed: Seed of the run.
            step: Optimizer steps made before this one.
            progress: Fraction of the training that is done.
        """
        block = step // self.every_steps
        if not block or not is_within(progress, self.between):
            return None
        repeats = [] if self.base_size is None else [self.base_size] * (self.base_size_repeat - 1)
        return int(np.random.default_rng((seed, block)).choice([*self.sizes, *repeats]))


def batch_inputs(
    batch: SampleBatch, preprocess: PreprocessConfig, device: torch.device, side: int | None = None
) -> tuple[list[Tensor], list[Targets], list[Proposals] | None]:
    """Return the images of a batch as a detector takes them, on its device, with their annotations.

    Args:
        batch: The batch.
        preprocess: The channel order and the range of the model's input.
        device: The device.
        side: Longest side in pixels to which the batch is resized; None: it keeps its size.
    """
    images = [as_input(image.to(device, non_blocking=True), preprocess) for image in batch.images]
    targets = [rows.to(device, non_blocking=True) for rows in batch.targets]
    proposals = None if batch.proposals is None else [rows.to(device, non_blocking=True) for rows in batch.proposals]
    return (images, targets, proposals) if side is None else resized_batch(images, targets, proposals, side)


def resized_batch(
    images: Sequence[Tensor], targets: Sequence[Targets], proposals: Sequence[Proposals] | None, side: int
) -> tuple[list[Tensor], list[Targets], list[Proposals] | None]:
    """Return a batch with its annotations, scaled so that the longest of all sides has ``side`` pixels."""
    sizes: list[Size] = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
    new = scaled_sizes(sizes, side)
    resized = [resized_image(image, size) for image, size in zip(images, new, strict=True)]
    return resized, resized_rows(targets, sizes, new), None if proposals is None else resized_rows(proposals, sizes, new)


def scaled_sizes(sizes: Sequence[Size], side: int) -> list[Size]:
    """Return the sizes ``(height, width)`` of a batch scaled so that the longest of all sides has ``side`` pixels."""
    factor = side / max(max(size) for size in sizes)
    return [(max(1, round(height * factor)), max(1, round(width * factor))) for height, width in sizes]


def resized_image(image: Tensor, size: Size) -> Tensor:
    """Return a ``(3, H, W)`` float image at another size, resized bilinearly."""
    if tuple(image.shape[-2:]) == size:
        return image
    resized: Tensor = functional.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
    return resized


def resized_rows(rows: Sequence[R], sizes: Sequence[Size], new: Sequence[Size]) -> list[R]:
    """Return the annotations of each image after it was resized."""
    return [table.resized(old, size) for table, old, size in zip(rows, sizes, new, strict=True)]
