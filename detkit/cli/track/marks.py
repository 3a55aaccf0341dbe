"""Lines, zones and boxes that flags of ``detkit track`` name, in pixels or in fractions of the frame."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detkit.tracking.counting import Anchor, Counting

Point = tuple[float, float]
_FRACTIONS = "pixels, or fractions of width and height if no number is above 1"


@dataclass(frozen=True)
class Mark:
    """Points with a name, as typed.

    Attributes:
        name: The name; empty if none was given.
        points: ``(x, y)`` in pixels, or in fractions of the frame's width and height if no coordinate is above 1.
    """

    name: str
    points: tuple[Point, ...]

    def pixels(self, size: tuple[int, int]) -> tuple[Point, ...]:
        """Return the points in pixels of frames of ``(height, width)``."""
        if max(max(point) for point in self.points) > 1:
            return self.points
        return tuple((x * size[1], y * size[0]) for x, y in self.points)


def line(text: str) -> Mark:
    """Parse ``x1,y1,x2,y2`` or ``NAME=x1,y1,x2,y2``, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is anything else.
    """
    mark = _parse(text, f"[NAME=]x1,y1,x2,y2 in {_FRACTIONS}, such as door=0,200,640,200", lambda count: count == 4)
    if mark.points[0] == mark.points[1]:
        raise argparse.ArgumentTypeError(f"expected two different points, got {text!r}")
    return mark


def zone(text: str) -> Mark:
    """Parse ``x,y,x,y,x,y,...`` or ``NAME=x,y,...``, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is anything else.
    """
    expected = f"[NAME=]x,y,x,y,... of three or more corners in {_FRACTIONS}, such as yard=0,0,200,0,200,150"
    return _parse(text, expected, lambda count: count >= 6 and count % 2 == 0)


def followed_box(text: str) -> Mark:
    """Parse ``x,y,width,height`` to two corners, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is anything else.
    """
    expected = f"x,y,width,height in {_FRACTIONS}, such as 120,80,60,140"
    (x, y), (width, height) = _parse(text, expected, lambda count: count == 4).points
    if not (width > 0 and height > 0):
        raise argparse.ArgumentTypeError(f"expected a width and a height above 0, got {text!r}")
    return Mark("", ((x, y), (x + width, y + height)))


def _parse(text: str, expected: str, accepts: object) -> Mark:
    name, _, numbers = text.rpartition("=")
    try:
        values = [float(part) for part in numbers.split(",")]
    except ValueError:
        values = []
    if not accepts(len(values)) or not all(map(math.isfinite, values)):  # type: ignore[operator]
        raise argparse.ArgumentTypeError(f"expected {expected}; got {text!r}")
    return Mark(name.strip(), tuple(zip(values[::2], values[1::2], strict=True)))


def named(lines: Sequence[Mark], zones: Sequence[Mark]) -> tuple[tuple[Mark, ...], tuple[Mark, ...]]:
    """Return lines and zones with names: ``line 1`` and so on where none was given.

    Raises:
        ValueError: If two have the same name.
    """
    groups = [
        tuple(replace(mark, name=mark.name or f"{kind} {number}") for number, mark in enumerate(marks, 1))
        for kind, marks in (("line", lines), ("zone", zones))
    ]
    names = [mark.name for marks in groups for mark in marks]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--line and --zone: two of them are named {name!r}; expected different names")
    return groups[0], groups[1]


def counting(lines: Sequence[Mark], zones: Sequence[Mark], size: tuple[int, int], anchor: Anchor) -> Counting:
    """Return what counts over lines and in zones, on frames of ``(height, width)``.

    Raises:
        ValueError: If a zone has no area.
    """
    from detkit.tracking.counting import Counting, Line, Zone

    pairs = [(mark.pixels(size), mark.name) for mark in lines]
    return Counting(
        [Line(points[0], points[1], name) for points, name in pairs],
        [Zone(mark.pixels(size), mark.name) for mark in zones],
        anchor=anchor,
    )
