"""Outlines of objects clipped to a window of their image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detkit.arrays import Floats
from detkit.ops.windows import Window
from detkit.structures import Segmentations

_MIN_AREA = 1e-3
"""Square pixels below which a clipped polygon is nothing."""


def clip_segmentations(values: Segmentations, window: Window) -> tuple[Segmentations, int]:
    """Return segmentations in pixels from the corner of a window, and the number of those that cannot be clipped.

    Polygons are clipped; run lengths, which describe the whole image, are dropped.
    """
    clipped = [_clipped(values, row, window) if values.present[row] else () for row in range(len(values))]
    lost = sum(1 for row, polygons in enumerate(clipped) if values.present[row] and values.polygons(row) is None and not polygons)
    return Segmentations.of_polygons(clipped), lost


def _clipped(values: Segmentations, row: int, window: Window) -> Sequence[Floats]:
    polygons = values.polygons(row) or ()
    clipped = (clip_polygon(polygon, window) for polygon in polygons)
    return [polygon for polygon in clipped if len(polygon) >= 3 and abs(_area(polygon)) > _MIN_AREA]


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


def _area(points: Floats) -> float:
    x, y = points.astype(np.float64).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
