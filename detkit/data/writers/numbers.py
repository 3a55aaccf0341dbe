"""Numbers in label files: as few decimals as a reader needs to get exactly the boxes that were written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.arrays import Doubles, Flags, Floats

_MOST_DECIMALS = 16
"""Decimals after which a number is written as it is; a fraction of an image of 20,000 pixels needs 12."""


@dataclass(frozen=True)
class BoxForm:
    """The four numbers by which a format states a box, in its unit.

    Attributes:
        numbers: Computes them from corners ``(N, 4)`` ``x1 y1 x2 y2``.
        corners: Computes the corners from them in the same way as the reader of the format.
    """

    numbers: Callable[[Doubles], Doubles]
    corners: Callable[[Doubles], Doubles]


def _corner_and_size(corners: Doubles) -> Doubles:
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _from_corner_and_size(numbers: Doubles) -> Doubles:
    return np.concatenate([numbers[:, :2], numbers[:, :2] + numbers[:, 2:]], axis=1)


def _center_and_size(corners: Doubles) -> Doubles:
    return np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)


def _from_center_and_size(numbers: Doubles) -> Doubles:
    return np.concatenate([numbers[:, :2] - numbers[:, 2:] / 2, numbers[:, :2] + numbers[:, 2:] / 2], axis=1)


CORNERS = BoxForm(lambda corners: corners, lambda numbers: numbers)
"""``x1 y1 x2 y2``."""

_FIRST_PIXEL = np.array([1.0, 1.0, 0.0, 0.0])
CORNERS_FROM_ONE = BoxForm(lambda corners: corners + _FIRST_PIXEL, lambda numbers: numbers - _FIRST_PIXEL)
"""``xmin ymin xmax ymax`` in pixels that are counted from 1, the last one included, as in Pascal VOC."""

CORNER_AND_SIZE = BoxForm(_corner_and_size, _from_corner_and_size)
"""``x y width height``."""

CENTER_AND_SIZE = BoxForm(_center_and_size, _from_center_and_size)
"""``x_center y_center width height``."""


def box_numbers(boxes: Any, form: BoxForm, unit: tuple[float, float] = (1.0, 1.0), first: int = 0) -> Doubles:
    """Return the numbers of boxes in a format, ``(N, 4)``, from which its reader computes the same float32 boxes.

    Args:
        boxes: ``(N, 4)`` float32 ``x1 y1 x2 y2`` in pixels, an array or a tensor on the CPU.
        form: The four numbers.
        unit: Pixels per unit along x and y: the image's width and height for fractions of the image.
        first: Number of decimals to try first.
    """
    exact: Floats = np.asarray(boxes, np.float32).reshape(-1, 4)
    units = np.array([*unit, *unit], np.float64)
    corners: Doubles = exact / units

    def numbers(digits: int) -> Doubles:
        return np.round(form.numbers(np.round(corners, digits)), digits + 1)

    def accepts(numbers: Doubles) -> Flags:
        return np.asarray(((form.corners(numbers) * units).astype(np.float32) == exact).all(1))

    return _shortest(numbers, accepts, form.numbers(corners), first)


def point_numbers(points: Any, unit: tuple[float, float] = (1.0, 1.0), offset: float = 0.0, first: int = 0) -> Doubles:
    """Return the numbers of points ``(P, 2)``, to which an offset is added, from which a reader computes the same float32 points."""
    exact: Floats = np.asarray(points, np.float32).reshape(-1, 2)
    units = np.array(unit, np.float64)
    values: Doubles = exact / units + offset

    def accepts(numbers: Doubles) -> Flags:
        return np.asarray((((numbers - offset) * units).astype(np.float32) == exact).all(1))

    def numbers(digits: int) -> Doubles:
        return np.round(values, digits)

    return _shortest(numbers, accepts, values, first)


def plain(values: Any) -> Doubles:
    """Return float32 values ``(N,)`` with as few decimals as they need."""
    exact: Floats = np.asarray(values, np.float32).reshape(-1, 1)
    doubles: Doubles = exact.astype(np.float64)

    def numbers(digits: int) -> Doubles:
        return np.round(doubles, digits)

    return _shortest(numbers, lambda tried: np.asarray((tried.astype(np.float32) == exact).all(1)), doubles, 0)[:, 0]


def _shortest(numbers: Callable[[int], Doubles], accepts: Callable[[Doubles], Flags], exact: Doubles, first: int) -> Doubles:
    """Return, for each row, the numbers with the fewest decimals that are accepted; the exact ones if none are."""
    result, left = exact.copy(), np.ones(len(exact), np.bool_)
    for digits in range(first, _MOST_DECIMALS):
        if not left.any():
            break
        tried = numbers(digits)
        rows = left & accepts(tried)
        result[rows] = tried[rows]
        left &= ~rows
    return result


def text(number: float) -> str:
    """Return a number without an exponent and without a fraction of zero, as ``12``, ``12.5`` or ``0.00000012``."""
    written = repr(float(number))
    if "e" in written:
        written = f"{number:.{_MOST_DECIMALS}f}".rstrip("0")
    return written.rstrip("0").rstrip(".") if "." in written else written


def texts(numbers: Doubles) -> list[list[str]]:
    """Return each row of numbers as text; see :func:`text`."""
    return [[text(number) for number in row] for row in numbers.tolist()]
