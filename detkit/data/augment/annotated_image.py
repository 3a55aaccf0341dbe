"""An image with its targets and proposals, which are transformed together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch

from detkit.arrays import ImageArray
from detkit.structures import Proposals, Rows, Size, Targets

R = TypeVar("R", bound=Rows)
ImageSampler = Callable[[np.random.Generator], "AnnotatedImage"]
"""Draws another image of the data set with the generator, for mosaic and mixup."""


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """An image with its targets and proposals.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        targets: The labeled objects, in pixels of the image.
        proposals: Boxes that may contain an object, in pixels of the image, for detectors that are trained on external ones.
        is_labeled: False if not all objects in the image are labeled, so that ``targets`` are incomplete.
    """

    image: ImageArray
    targets: Targets
    proposals: Proposals | None = None
    is_labeled: bool = True

    @property
    def size(self) -> Size:
        """``(height, width)`` in pixels."""
        return self.image.shape[0], self.image.shape[1]

    def mapped(self, image: ImageArray, transform: Callable[[Rows], Rows]) -> AnnotatedImage:
        """Return a copy with another image, and with ``transform`` applied to the targets and the proposals."""
        proposals = None if self.proposals is None else transform(self.proposals)
        return replace(self, image=image, targets=transform(self.targets), proposals=proposals)  # type: ignore[arg-type]


def shift_rows(rows: R, x: float, y: float) -> R:
    """Shift the boxes of rows by ``(x, y)`` pixels."""
    return rows.replace(boxes=rows.boxes + rows.boxes.new_tensor([x, y, x, y]))


def crop_rows(rows: R, size: Size, min_visibility: float) -> R:
    """Crop rows to an image of ``size``: boxes are clipped, and ``areas`` reduced by the same fraction.

    A box is dropped if nothing of it, or less than ``min_visibility`` of its area, remains. Crowds are dropped only if nothing
    remains, since they mark regions to ignore in training.
    """
    before = rows.boxes
    clipped = before.clamp(min=0).minimum(before.new_tensor([size[1], size[0], size[1], size[0]]))
    visibility = box_areas(clipped) / box_areas(before).clamp(min=1e-9)
    keep = visibility >= min_visibility
    crowd = getattr(rows, "is_crowd", None)
    if crowd is not None:
        keep |= crowd
    return scale_areas(rows.replace(boxes=clipped), visibility)[keep & (visibility > 0)]


def scale_areas(rows: R, factors: torch.Tensor) -> R:
    """Multiply the ``areas`` of rows, if they have any, by ``factors``, ``(N,)``."""
    areas = getattr(rows, "areas", None)
    return rows if areas is None else rows.replace(areas=areas * factors)


def drop_small(rows: R, min_side: float) -> R:
    """Drop the rows whose box has a side below ``min_side`` pixels."""
    sides = rows.boxes[:, 2:] - rows.boxes[:, :2]
    keep = (sides >= min_side).all(1)
    return rows if bool(keep.all()) else rows[keep]


def box_areas(boxes: torch.Tensor) -> torch.Tensor:
    """Return the area of each box in square pixels; 0 where a side is negative."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    return sides[:, 0] * sides[:, 1]
