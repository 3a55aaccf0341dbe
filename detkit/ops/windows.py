"""Windows of an image: where they are, boxes inside them, and how much of a box a window shows.

Boxes are tensors or numpy arrays, and the results are of the same type; PyTorch is not imported.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar

from detkit.arrays import Size, vector_like

A = TypeVar("A")
"""A tensor or an array."""

_NO_AREA = 1e-9
"""Square pixels that stand in for the area of a box without one, so that its visible fraction is 0."""


class Window(NamedTuple):
    """A part of an image in whole pixels; it may extend beyond the image."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def size(self) -> Size:
        """``(height, width)``."""
        return self.y2 - self.y1, self.x2 - self.x1


class BoxesInWindow(NamedTuple):
    """Boxes clipped to a window.

    Attributes:
        boxes: ``(N, 4)`` in pixels from the window's corner; a box outside the window has no area.
        visible: ``(N,)`` fraction of each box's area that is inside the window.
    """

    boxes: Any
    visible: Any


def windows_per_side(ratio: float, overlap: float) -> int:
    """Return how many windows cover a side that is ``ratio`` times as long as they are.

    Neighbors overlap by at least the fraction ``overlap``, from 0 to below 1, of a window's side. A ratio of at most 1 needs one window.
    """
    return 1 if ratio <= 1 else math.ceil((ratio - overlap) / (1 - overlap) - 1e-6)


def cover(size: Size, window: Size, overlap: float) -> list[Window]:
    """Return windows of ``(height, width)`` ``window`` that cover an image of ``size`` evenly, row by row.

    A window never extends beyond the image unless it is larger than the image.
    """
    return _grid(size, window, [windows_per_side(side / part, overlap) for side, part in zip(size, window, strict=True)])


def cover_by_factor(size: Size, factor: float, overlap: float) -> list[Window]:
    """Return windows that cover an image evenly, each with the sides of the image divided by ``factor``.

    A factor below 1 gives one window, larger than the image.
    """
    height, width = (max(1, math.ceil(side / factor)) for side in size)
    return _grid(size, (height, width), [windows_per_side(factor, overlap)] * 2)


def _grid(size: Size, window: Size, counts: list[int]) -> list[Window]:
    rows, columns = (_starts(*arguments) for arguments in zip(size, window, counts, strict=True))
    corners = [(y, x) for y in rows for x in columns]
    # Windows of an image of a few pixels can coincide.
    return list(dict.fromkeys(Window(x, y, x + window[1], y + window[0]) for y, x in corners))


def _starts(side: int, part: int, count: int) -> list[int]:
    return [round(step / max(1, count - 1) * max(0, side - part)) for step in range(count)]


def shift_boxes(boxes: A, x: float, y: float) -> A:
    """Return ``(N, 4)`` boxes moved by ``(x, y)`` pixels."""
    rows: Any = boxes
    moved: A = rows + vector_like([x, y, x, y], boxes)
    return moved


def clip_to(boxes: A, size: Size) -> A:
    """Clip ``(N, 4)`` boxes to an image of ``size``; a box entirely outside ends with no area."""
    rows: Any = boxes
    height, width = size
    clipped: A = rows.clip(vector_like([0, 0, 0, 0], boxes), vector_like([width, height, width, height], boxes))
    return clipped


def boxes_in_window(boxes: Any, window: Window) -> BoxesInWindow:
    """Clip ``(N, 4)`` boxes of an image to a window of it."""
    shifted = shift_boxes(boxes, -window.x1, -window.y1)
    clipped = clip_to(shifted, window.size)
    return BoxesInWindow(clipped, kept_fraction(shifted, clipped))


def kept_fraction(before: Any, after: Any) -> Any:
    """Return the area of each box ``after`` a change over its area ``before`` it, shape ``(N,)``; 0 for a box without area."""
    return areas(after) / areas(before).clip(_NO_AREA)


def is_visible(fractions: Any, min_visibility: float, crowds: Any = None) -> Any:
    """Return which boxes count as visible: at least ``min_visibility`` of their area is inside the window, and not nothing.

    Args:
        fractions: ``(N,)`` fraction of each box's area inside the window.
        min_visibility: The smallest fraction.
        crowds: ``(N,)`` bool, boxes that count however little of them is inside, since they mark regions to ignore in training.
    """
    enough = fractions >= min_visibility
    if crowds is not None:
        enough = enough | crowds
    return enough & (fractions > 0)


def is_cut(boxes: A, window: Window, size: Size, margin: float) -> A:
    """Return which ``(N, 4)`` boxes of an image of ``size`` end at an edge of the window that is not an edge of the image.

    Args:
        boxes: Boxes in pixels of the image.
        window: The window that they were found in.
        size: ``(height, width)`` of the image.
        margin: Distance from the edge that still counts as ending there, as a fraction of the window's side.
    """
    rows: Any = boxes
    low, high = vector_like(window[:2], boxes), vector_like(window[2:], boxes)
    margins = (high - low) * margin
    at_start = (rows[:, :2] - low < margins) & (low > 0)
    at_end = (high - rows[:, 2:] < margins) & (high < vector_like([size[1], size[0]], boxes))
    cut: A = (at_start | at_end).any(1)
    return cut


def areas(boxes: Any) -> Any:
    """Return the area of each box in square pixels, shape ``(N,)``; 0 where a side is negative."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(0)
    return sides[:, 0] * sides[:, 1]
