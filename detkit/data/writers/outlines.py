"""Outlines of objects in formats that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from detkit.arrays import Floats
from detkit.structures.run_lengths import mask_array

if TYPE_CHECKING:
    from detkit.structures import Segmentations
    from detkit.structures.masks import Masks


def polygons_of(segmentations: Segmentations | None, row: int, *, traces_masks: bool = True) -> list[Floats]:
    """Return the polygons of an object, each ``(P, 2)`` float32 with at least three points; empty if it has none.

    Args:
        segmentations: The outlines and run lengths of the objects.
        row: The object.
        traces_masks: Whether run lengths become the polygons that enclose exactly their pixels; otherwise they are left out.

    Raises:
        ValueError: If they are neither polygons nor run lengths.
    """
    value = None if segmentations is None else segmentations.stored(row)
    try:
        if isinstance(value, dict) and traces_masks:
            from detkit.data.writers.mask_polygons import mask_polygons

            return mask_polygons(mask_array(value), max_error=0)
        parts = value if isinstance(value, list) else []
        return [np.asarray(part, np.float32).reshape(-1, 2) for part in parts if len(part) >= 6 and len(part) % 2 == 0]
    except (TypeError, ValueError) as error:
        raise ValueError(f"a mask of the labels cannot be used ({error}); `detkit data check` names its image") from None


def outlines_of(masks: Masks | None) -> tuple[Segmentations | None, Floats | None]:
    """Return the outlines of masks as polygons, and their areas in square pixels; None and None without masks.

    Raises:
        ImportError: If OpenCV is not installed.
    """
    from detkit.data.writers.mask_polygons import polygons_of_masks
    from detkit.structures.segmentations import Segmentations

    if masks is None:
        return None, None
    return Segmentations.of_polygons(polygons_of_masks(masks)), masks.areas.astype(np.float32)


def mask_of(segmentations: Segmentations | None, row: int) -> dict[str, Any] | None:
    """Return the run lengths of an object in COCO's form; None if it has none."""
    value = None if segmentations is None else segmentations.stored(row)
    return value if isinstance(value, dict) else None


def joined(polygons: list[Floats]) -> Floats:
    """Return polygons as one outline ``(P, 2)``, connected by lines that are passed in both directions and so enclose nothing."""
    first, *others = polygons
    if not others:
        return first
    there = [np.concatenate([polygon, polygon[:1]]) for polygon in polygons]
    back = [polygon[:1] for polygon in reversed(others[:-1])]
    return np.concatenate([*there, *back])


def bounds(points: Floats) -> Floats:
    """Return the box around points, ``(4,)`` ``x1 y1 x2 y2``."""
    return np.concatenate([points.min(0), points.max(0)])


def as_rectangle(box: Any) -> Floats:
    """Return the corners of a box ``x1 y1 x2 y2`` as an outline, ``(4, 2)``."""
    x1, y1, x2, y2 = np.asarray(box, np.float32).tolist()
    return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float32)
