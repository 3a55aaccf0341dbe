"""Points, lines and polygons of counting: anchors of boxes, sides of a line, exact intersections, and points in polygons."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from detkit.arrays import Doubles, Features, Flags

Point = tuple[float, float]
"""``(x, y)`` in pixels of the image; y points down."""
Anchor = Literal["center", "bottom", "top", "left", "right"]
"""Point of a box that stands for the object: its center, or the middle of a side; ``bottom`` is where a person or a car stands."""

_WEIGHTS = {"center": (0.5, 0.5), "bottom": (0.5, 1.0), "top": (0.5, 0.0), "left": (0.0, 0.5), "right": (1.0, 0.5)}
ANCHORS: tuple[Anchor, ...] = get_args(Anchor)
"""The anchors by name."""


def anchor_points(boxes: Features, anchor: Anchor) -> Doubles:
    """Return the anchor ``(N, 2)`` of every box ``(N, 4)``.

    Raises:
        ValueError: If there is no such anchor.
    """
    if anchor not in _WEIGHTS:
        raise ValueError(f"unknown anchor {anchor!r}: expected one of {', '.join(ANCHORS)}")
    corners, weights = np.asarray(boxes, np.float64).reshape(-1, 2, 2), np.array(_WEIGHTS[anchor])
    points: Doubles = corners[:, 0] * (1 - weights) + corners[:, 1] * weights
    return points


def cross(first: Doubles, second: Doubles) -> Doubles:
    """Return the cross product ``(...)`` of vectors ``(..., 2)``: positive where, on an image, the second is to the right of the first."""
    product: Doubles = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return product


def passes(origins: Doubles, points: Doubles, start: Doubles, end: Doubles) -> Flags:
    """Return whether the movement from each origin to its point ``(N, 2)`` meets the segment from start to end; touching an end counts.

    The origins must not lie on the infinite line, and the points on the line or on its other side.
    """
    movement = points - origins
    to_start, to_end = cross(movement, start - origins), cross(movement, end - origins)
    meets: Flags = (np.minimum(to_start, to_end) <= 0) & (np.maximum(to_start, to_end) >= 0)
    return meets


def in_polygon(points: Doubles, polygon: Doubles) -> Flags:
    """Return whether each point ``(N, 2)`` lies in a polygon ``(P, 2)``, convex or concave, by the rule of odd crossings.

    A point on a border belongs to the polygon on one side only, so that of polygons that share a border exactly one contains it.
    """
    following = np.roll(polygon, -1, axis=0)
    downward = (polygon[:, 1] < following[:, 1])[:, None]  # sides in one direction, so that both of its polygons see the same border
    tops, bottoms = np.where(downward, polygon, following), np.where(downward, following, polygon)
    y = points[:, 1:]
    spans = (tops[:, 1] <= y) & (y < bottoms[:, 1])
    inside: Flags = (spans & (cross(bottoms - tops, points[:, None] - tops) > 0)).sum(1) % 2 == 1
    return inside


def border_distances(points: Doubles, polygon: Doubles) -> Doubles:
    """Return the distance ``(N,)`` of each point ``(N, 2)`` to the border of a polygon ``(P, 2)``."""
    starts, sides = polygon[None], np.roll(polygon, -1, axis=0) - polygon
    offsets = points[:, None] - starts
    lengths = np.maximum((sides**2).sum(1), np.finfo(np.float64).tiny)
    shares = np.clip((offsets * sides).sum(-1) / lengths, 0, 1)
    distances: Doubles = np.sqrt(((offsets - shares[..., None] * sides) ** 2).sum(-1)).min(1)
    return distances
