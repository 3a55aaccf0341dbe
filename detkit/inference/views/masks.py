"""Masks of detections: their grids follow boxes that are clipped, and become pixels once the detections are final."""

from __future__ import annotations

from typing import Any, TypeVar

from detkit.arrays import Floats, Size, to_numpy, vector_like
from detkit.ops.masks.grids import regrid
from detkit.ops.masks.paste import paste_masks
from detkit.preprocess.arrays import Prepared

R = TypeVar("R", bound=Any)
"""Detections as tensors or arrays."""


def with_pixels(rows: R, size: Size) -> R:
    """Return detections with the pixels of their masks in an image of ``size``, if a model predicted masks."""
    if rows.mask_probabilities is None:
        return rows
    arrays = rows.numpy()
    pasted: R = rows.replace(masks=paste_masks(arrays.mask_probabilities, arrays.boxes, size))
    return pasted


def clipped(rows: R, boxes: Any, new_boxes: Any) -> R:
    """Return detections with clipped boxes, and their grids of probabilities over these.

    Args:
        rows: The detections.
        boxes: Their boxes before they are clipped, in the pixels of ``new_boxes``.
        new_boxes: Their boxes in the image.
    """
    if rows.mask_probabilities is None:
        return rows.replace(boxes=new_boxes)  # type: ignore[no-any-return]
    corners: list[Floats] = [to_numpy(part) for part in (boxes, new_boxes)]
    grids = regrid(to_numpy(rows.mask_probabilities), *corners)
    return rows.replace(boxes=new_boxes, mask_probabilities=vector_like(grids, rows.mask_probabilities))  # type: ignore[no-any-return]


def restored(image: Prepared, rows: R) -> R:
    """Return detections of a prepared image in pixels of the original image, clipped to it."""
    return clipped(rows, image.placement.unclipped(rows.boxes), image.restore(rows).boxes)
