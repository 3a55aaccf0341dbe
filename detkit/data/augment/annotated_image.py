"""An image with its targets and proposals, which are transformed together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

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

    A box is dropped unless it is visible, see :func:`~detkit.ops.windows.is_visible`.
    """
    inside = boxes_in_window(rows.boxes, window)
    return rows.moved(inside.boxes, inside.visible)[is_visible(inside.visible, min_visibility, getattr(rows, "is_crowd", None))]


def shift_rows(rows: R, x: float, y: float) -> R:
    """Shift the boxes of rows by ``(x, y)`` pixels."""
    return rows.replace(boxes=shift_boxes(rows.boxes, x, y))


def drop_small(rows: R, min_side: float) -> R:
    """Drop the rows whose box has a side below ``min_side`` pixels, except crowds, which mark regions to ignore however small."""
    sides = rows.boxes[:, 2:] - rows.boxes[:, :2]
    keep = (sides >= min_side).all(1)
    crowds = getattr(rows, "is_crowd", None)
    keep = keep if crowds is None else keep | crowds
    return rows if bool(keep.all()) else rows[keep]
