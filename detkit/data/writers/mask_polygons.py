"""Polygons around masks, for formats and programs that have no masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detkit.arrays import Flags, Floats
from detkit.structures.masks import Masks

MAX_ERROR = 1.0
"""Greatest distance in pixels between an outline and its polygon."""
_RELATIVE_ERROR = 0.02
"""The same as a fraction of the side of a square of the same area, for small objects."""


def mask_polygons(pixels: Flags, left: int = 0, top: int = 0, max_error: float | None = None) -> list[Floats]:
    """Return the outlines of a mask, one for each connected part, the largest first.

    They follow the borders of pixels and are simplified. With a ``max_error`` of 0 they are exact: pycocotools and programs that fill
    polygons by the even-odd rule, as most do, get the same pixels again. A hole is connected with the outline around it by a line that is
    passed in both directions and so encloses nothing.

    Args:
        pixels: ``(h, w)`` bool, a rectangle of an image.
        left: Column of the image at which the rectangle begins.
        top: Row of the image at which it begins.
        max_error: Greatest distance of the outline from the border in pixels; None: :data:`MAX_ERROR`, and less for small objects.

    Returns:
        ``(P, 2)`` float32 ``x y`` each, in pixels of the image; none for an empty mask.

    Raises:
        ImportError: If OpenCV is not installed.
    """
    if not pixels.any():
        return []
    error = min(MAX_ERROR, _RELATIVE_ERROR * float(pixels.sum()) ** 0.5) if max_error is None else max_error
    contours, parents = _contours(pixels)
    rings = [_ring(contour, error) for contour in contours]
    parts = []
    for outer in (number for number, parent in enumerate(parents) if parent < 0):
        holes = [rings[number] for number, parent in enumerate(parents) if parent == outer]
        parts.append((polygon_area(rings[outer]), _with_holes(rings[outer], holes) + np.array([left, top], np.float32)))
    return [points.astype(np.float32) for _, points in sorted(parts, key=lambda part: -part[0])]


def polygons_of_masks(masks: Masks) -> list[list[Floats]]:
    """Return the outlines of each mask, see :func:`mask_polygons`; none for a row without mask."""
    corners = masks.windows[:, :2].tolist()
    return [mask_polygons(masks.crop(row), x, y) for row, (x, y) in enumerate(corners)]


def _contours(pixels: Flags) -> tuple[Sequence[Floats], list[int]]:
    """Return the borders of the connected parts and of their holes along the borders of pixels, and for each hole the number of its part.

    OpenCV's contours pass through the centers of the outermost pixels. In an image of twice the size, these are quarters of pixels, each
    with one corner on the border.
    """
    try:
        import cv2
    except ImportError:
        raise ImportError("polygons of masks need OpenCV, which is not installed: pip install opencv-python") from None
    doubled = np.repeat(np.repeat(pixels.astype(np.uint8), 2, 0), 2, 1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [((contour[:, 0] + 1) // 2).astype(np.float32) for contour in contours], hierarchy[0, :, 3].tolist()


def _ring(points: Floats, error: float) -> Floats:
    """Return a closed border with few points; exactly, if what remains would be no area."""
    import cv2

    turns = points[(points != np.roll(points, 1, 0)).any(1)]
    before, after = turns - np.roll(turns, 1, 0), np.roll(turns, -1, 0) - turns
    corners = turns[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    if error <= 0 or len(corners) <= 4:
        return np.asarray(corners)
    simple = cv2.approxPolyDP(corners[:, None], error, closed=True)[:, 0].astype(np.float32)
    return simple if len(simple) >= 3 else np.asarray(corners)


def _with_holes(outline: Floats, holes: Sequence[Floats]) -> Floats:
    """Return an outline that goes to each hole, around it, and back to where it came from, at the shortest distance."""
    for hole in sorted(holes, key=lambda ring: float(ring[:, 0].min())):
        distances = ((outline[:, None] - hole[None]) ** 2).sum(2)
        at, start = np.unravel_index(int(distances.argmin()), distances.shape)
        turned = np.roll(hole, -start, 0)
        outline = np.concatenate([outline[: at + 1], turned, turned[:1], outline[at:]])
    return outline


def polygon_area(points: Floats) -> float:
    """Return the area inside a closed outline ``(P, 2)``, by the shoelace formula."""
    x, y = points.astype(np.float64).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
