"""Pixels of labeled outlines and run lengths, as COCO's own code computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from detkit.arrays import Doubles, Size
from detkit.structures import Masks, Segmentations
from detkit.structures.masks import Crop
from detkit.structures.run_lengths import mask_array


def mask_pixels(segmentations: Segmentations | None, count: int, size: Size, name: str = "") -> Masks:
    """Return the masks of the objects of one image.

    Args:
        segmentations: The outlines and run lengths of the objects; None if none has any.
        count: Number of objects.
        size: ``(height, width)`` of the image.
        name: The image, with which the message of an error begins.

    Raises:
        ValueError: If a segmentation is neither polygons nor run lengths, or its run lengths are of an image of another size.
    """
    if segmentations is None:
        return Masks.none(count)
    try:
        return Masks.of([_crop(segmentations.stored(row), size) for row in range(count)])
    except ValueError as error:
        if not name:
            raise
        raise ValueError(f"{name}: {error}; correct its labels, or find such masks with `detkit data check`") from None


def _crop(value: Any, size: Size) -> Crop | None:
    """Return the pixels of one segmentation in COCO's form."""
    if value is None:
        return None
    if not isinstance(value, dict):
        return _outlined([_points(part) for part in value], size)
    if _size(value) != size:
        got = " x ".join(map(str, reversed(_size(value) or ()))) or f"{value.get('size')!r}"[:80]
        raise ValueError(f"run lengths of a mask: expected those of an image of {size[1]} x {size[0]} pixels (width x height), got {got}")
    try:
        return mask_array(value), 0, 0
    except ValueError as error:
        raise ValueError(f"run lengths of a mask: {error}") from None


def _size(runs: dict[str, Any]) -> Size | None:
    """Return the stated height and width; None if they are no two whole numbers."""
    value = runs.get("size")
    if not isinstance(value, (list, tuple)) or len(value) != 2 or not all(isinstance(side, (int, np.integer)) for side in value):
        return None
    return int(value[0]), int(value[1])


def _points(part: Any) -> Doubles:
    try:
        return np.asarray(part, np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"polygon of a mask: expected numbers x, y, x, y, ..., got {str(part)[:80]}") from None


def _outlined(polygons: Sequence[Doubles], size: Size) -> Crop | None:
    """Return the pixels inside any of some polygons, drawn in the rectangle around them by pycocotools and cut at the image."""
    polygons = [polygon for polygon in polygons if len(polygon) >= 3 and np.isfinite(polygon).all()]
    if not polygons:
        return None
    height, width = size
    far = np.array([width, height])  # an outline may leave the image, but not by so much that drawing it takes any memory
    polygons = [np.clip(polygon, -far, 2 * far) for polygon in polygons]
    points = np.concatenate(polygons)
    left, top = (int(value) for value in np.floor(points.min(0)) - 1)
    right, bottom = (int(value) for value in np.ceil(points.max(0)) + 1)
    parts = [(polygon - [left, top]).reshape(-1).tolist() for polygon in polygons]
    pixels = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(parts, bottom - top, right - left))).astype(np.bool_)
    inside = slice(max(0, -top), height - top), slice(max(0, -left), width - left)
    return pixels[inside], max(0, left), max(0, top)
