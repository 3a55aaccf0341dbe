"""An image with its targets and proposals, which are transformed together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
import torch

from detkit.arrays import ImageArray
from detkit.ops.windows import Window, boxes_in_window, is_visible, shift_boxes
from detkit.structures import Proposals, Rows, Size, Targets

R = TypeVar("R", bound=Rows)
ImageSampler = Callable[[np.random.Generator], "AnnotatedImage"]
"""Draws another image of the data set with the generator, for mosaic and mixup."""


class Transform(Protocol):
    """A change of rows that keeps their type."""

    def __call__(self, rows: R, /) -> R:
        """Return the changed rows."""
        ...


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

    def mapped(self, image: ImageArray, transform: Transform) -> AnnotatedImage:
        """Return a copy with another image, and with ``transform`` applied to the targets and the proposals."""
        proposals = None if self.proposals is None else transform(self.proposals)
        return replace(self, image=image, targets=transform(self.targets), proposals=proposals)


def crop_rows(rows: R, window: Window, min_visibility: float) -> R:
    """Crop rows to a window of their image: boxes are counted from its corner and clipped, and ``areas`` reduced by the same fraction.

    Masks are cropped too, but boxes stay those of the boxes: :func:`fit_to_masks` fits them at the end.

    A box is dropped unless it is visible, see :func:`~detkit.ops.windows.is_visible`.
    """
    inside = boxes_in_window(rows.boxes, window)
    visible = is_visible(inside.visible, min_visibility, getattr(rows, "is_crowd", None))
    return rows.moved(inside.boxes, inside.visible)[visible].with_masks(lambda masks: masks.cropped(window))


def shift_rows(rows: R, x: int, y: int) -> R:
    """Shift the boxes and masks of rows by ``(x, y)`` whole pixels."""
    return rows.replace(boxes=shift_boxes(rows.boxes, x, y)).with_masks(lambda masks: masks.shifted(x, y))


def drop_small(rows: R, min_side: float) -> R:
    """Drop the rows whose box has a side below ``min_side`` pixels, except crowds, which mark regions to ignore however small."""
    sides = rows.boxes[:, 2:] - rows.boxes[:, :2]
    keep = (sides >= min_side).all(1)
    crowds = getattr(rows, "is_crowd", None)
    keep = keep if crowds is None else keep | crowds
    return rows if bool(keep.all()) else rows[keep]


def fit_to_masks(targets: Targets) -> Targets:
    """Fit boxes to their masks after the image was cropped or turned, and drop the objects of which no pixel is left.

    A side of a box within a pixel of the mask stays as it was labeled, between pixels. Crowds are regions to ignore, and are kept.
    """
    masks = targets.masks
    if masks is None or not len(masks):
        return targets
    labeled = torch.from_numpy(masks.present)
    around = torch.from_numpy(masks.boxes)
    boxes = torch.where((targets.boxes - around).abs() <= 1, targets.boxes, around)
    is_empty = labeled & ((around[:, 2:] - around[:, :2]) <= 0).any(1)
    fitted = targets.replace(boxes=torch.where((labeled & ~is_empty)[:, None], boxes, targets.boxes))
    return fitted[~is_empty | targets.is_crowd]
