"""A image with everything that is known about places in it, moved together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from detkit.structures import Proposals, Rows, Size, Targets

R = TypeVar("R", bound=Rows)
Image = NDArray[np.uint8]
Other = Callable[[np.random.Generator], "AnnotatedImage"]
"""Gives another image of the data set, drawn with the generator: mosaics are made of several."""


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """An image and the rows about it.

    Attributes:
        image: ``(H, W, 3)`` uint8 RGB.
        targets: The labeled objects, in the image's pixels.
        proposals: Boxes that may show an object, in the image's pixels, where a detector is trained on given ones.
        is_labeled: False where nobody labeled all that the image shows, so that ``targets`` say too little.
    """

    image: Image
    targets: Targets
    proposals: Proposals | None = None
    is_labeled: bool = True

    @property
    def size(self) -> Size:
        """``(height, width)`` in pixels."""
        return self.image.shape[0], self.image.shape[1]

    def mapped(self, image: Image, change: Callable[[Rows], Rows]) -> AnnotatedImage:
        """The image with another image, and ``change`` applied to the targets and the proposals alike."""
        proposals = None if self.proposals is None else change(self.proposals)
        return replace(self, image=image, targets=change(self.targets), proposals=proposals)  # type: ignore[arg-type]


def moved(rows: R, x: float, y: float) -> R:
    """Rows after the image's corner went to ``(x, y)``, in pixels."""
    return rows.replace(boxes=rows.boxes + rows.boxes.new_tensor([x, y, x, y]))


def cut(rows: R, size: Size, min_visibility: float) -> R:
    """Rows after the image was cut to ``(0, 0)`` - ``size``: boxes clipped, ``areas`` reduced by the same share.

    A box goes when nothing is left of it, or less than ``min_visibility`` of its area; crowds go only when nothing is
    left, since they say where not to learn.
    """
    before = rows.boxes
    clipped = before.clamp(min=0).minimum(before.new_tensor([size[1], size[0], size[1], size[0]]))
    share = box_areas(clipped) / box_areas(before).clamp(min=1e-9)
    keep = share >= min_visibility
    crowd = getattr(rows, "is_crowd", None)
    if crowd is not None:
        keep |= crowd
    return with_share(rows.replace(boxes=clipped), share)[keep & (share > 0)]


def with_share(rows: R, share: torch.Tensor) -> R:
    """Rows whose ``areas``, if they have any, are multiplied by what is visible of each box."""
    areas = getattr(rows, "areas", None)
    return rows if areas is None else rows.replace(areas=areas * share)


def without_small(rows: R, min_side: float) -> R:
    """Rows without the boxes that have a side below ``min_side`` pixels."""
    sides = rows.boxes[:, 2:] - rows.boxes[:, :2]
    keep = (sides >= min_side).all(1)
    return rows if bool(keep.all()) else rows[keep]


def box_areas(boxes: torch.Tensor) -> torch.Tensor:
    """Square pixels of each box, 0 for those turned inside out."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)
    return sides[:, 0] * sides[:, 1]
