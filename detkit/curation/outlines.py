"""Outlines of objects clipped to a window of their image."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from detkit.arrays import Floats, Size
from detkit.data.mask_pixels import mask_pixels
from detkit.data.writers.mask_polygons import polygon_area
from detkit.data.writers.outlines import bounds
from detkit.ops.windows import Window
from detkit.structures import Segmentations

_MIN_AREA = 1e-3
"""Square pixels below which a clipped polygon is nothing."""


class Clipped(NamedTuple):
    """Segmentations clipped to a window.

    Attributes:
        values: Polygons and run lengths in pixels from the corner of the window; none where nothing is inside.
        boxes: ``(N, 4)`` float32, the box around what is inside; zeros where there is nothing.
    """

    values: Segmentations
    boxes: Floats


def clip_segmentations(segmentations: Segmentations, size: Size, window: Window) -> Clipped:
    """Clip the segmentations of an image of ``size`` to a window of it.

    Raises:
        ValueError: If run lengths are of an image of another size.
    """
    rows = [_clipped(segmentations.stored(row), size, window) for row in range(len(segmentations))]
    boxes = np.stack([box for _, box in rows]) if rows else np.zeros((0, 4), np.float32)
    values = [value for value, _ in rows]
    if any(isinstance(value, dict) for value in values):
        return Clipped(Segmentations.of_values(values), boxes)
    return Clipped(Segmentations.of_polygons([() if value is None else value for value in values]), boxes)


def _clipped(value: Any, size: Size, window: Window) -> tuple[Any, Floats]:
    """Return the polygons, or the run lengths, of a part of an object and the box around it; None and zeros if there is none."""
    if isinstance(value, dict):
        return _clipped_runs(value, size, window)
    polygons = (clip_polygon(np.asarray(part, np.float32), window) for part in Segmentations.of_values([value]).polygons(0) or ())
    kept = [polygon for polygon in polygons if len(polygon) >= 3 and polygon_area(polygon) > _MIN_AREA]
    if not kept:
        return None, np.zeros(4, np.float32)
    return kept, _box_of_polygons(kept, window.size)


def _box_of_polygons(polygons: list[Floats], size: Size) -> Floats:
    """Return the box around polygons, of which a part along the edge of the window may enclose nothing, so that no pixel is in it."""
    box = bounds(np.concatenate(polygons))
    around = mask_pixels(Segmentations.of_polygons([polygons]), 1, size).boxes[0]
    return box if around[2] <= around[0] else np.where(np.abs(box - around) <= 1, box, around)


def _clipped_runs(value: dict[str, Any], size: Size, window: Window) -> tuple[Any, Floats]:
    inside = mask_pixels(Segmentations.of_values([value]), 1, size).cropped(window)
    runs = inside.runs(0, window.size) if inside.areas[0] else None
    return runs, inside.boxes[0]


def clip_polygon(points: Floats, window: Window) -> Floats:
    """Clip a polygon ``(P, 2)`` to a window, by Sutherland and Hodgman's method, and count it from the window's corner.

    Where a polygon that is not convex leaves the window and comes back, its parts are connected along the edge of the window.
    """
    points = np.asarray(points, np.float32) - np.array(window[:2], np.float32)
    height, width = window.size
    for axis, sign, limit in ((0, 1, 0), (0, -1, -width), (1, 1, 0), (1, -1, -height)):
        points = _clip_edge(points, axis, sign, limit)
    return points


def _clip_edge(points: Floats, axis: int, sign: int, limit: float) -> Floats:
    """Clip to the half-plane in which ``sign`` times the coordinate is at least ``limit``."""
    if not len(points):
        return points
    inside = sign * points[:, axis] - limit
    after = np.roll(points, -1, 0)
    inside_after = np.roll(inside, -1)
    crosses = (inside >= 0) != (inside_after >= 0)
    share = np.divide(inside, inside - inside_after, where=crosses, out=np.zeros_like(inside))[:, None]
    crossings = points + share * (after - points)
    pairs: Any = np.stack([points, crossings], 1)
    clipped: Floats = pairs[np.stack([inside >= 0, crosses], 1)]
    return clipped
