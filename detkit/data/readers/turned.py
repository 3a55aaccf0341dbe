"""Turned rectangles, which are read as the upright box around them."""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = tuple[float, float, float, float]
"""``x1 y1 x2 y2``."""


def turned_box(box: Sequence[float], degrees: float) -> Box:
    """Return the upright box around a box ``x1 y1 x2 y2`` that is turned about its center; the direction makes no difference.

    NaN if the angle is not finite.
    """
    x1, y1, x2, y2 = box
    if not math.isfinite(degrees):
        return math.nan, math.nan, math.nan, math.nan
    cosine, sine = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    width = (x2 - x1) * cosine + (y2 - y1) * sine
    height = (x2 - x1) * sine + (y2 - y1) * cosine
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def box_of_turned(numbers: Sequence[float], *, radians: bool = False) -> Box:
    """Return the upright box around a turned one: center, size and angle, or four corners ``x y x y ...``."""
    if len(numbers) == 8:
        return box_around(numbers)
    x, y, width, height, angle = numbers
    return turned_box((x - width / 2, y - height / 2, x + width / 2, y + height / 2), math.degrees(angle) if radians else angle)


def ellipse_box(center: Sequence[float], radii: Sequence[float], degrees: float) -> Box:
    """Return the upright box around an ellipse that is turned about its center."""
    (x, y), (horizontal, vertical), angle = center, radii, math.radians(degrees)
    width = math.hypot(horizontal * math.cos(angle), vertical * math.sin(angle))
    height = math.hypot(horizontal * math.sin(angle), vertical * math.cos(angle))
    return x - width, y - height, x + width, y + height


def box_around(numbers: Sequence[float]) -> Box:
    """Return the upright box around points ``x y x y ...``; NaN if one of them is NaN."""
    if any(map(math.isnan, numbers)):
        return math.nan, math.nan, math.nan, math.nan
    return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])
