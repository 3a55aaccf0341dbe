"""A color for each class, the same in every image."""

from __future__ import annotations

import colorsys

Color = tuple[int, int, int]

_FIRST: tuple[Color, ...] = (
    (230, 57, 70),
    (38, 132, 255),
    (46, 176, 80),
    (255, 170, 0),
    (163, 73, 219),
    (0, 184, 190),
    (255, 105, 180),
    (150, 200, 30),
    (255, 115, 40),
    (94, 96, 206),
    (200, 160, 110),
    (0, 120, 110),
)
"""Told apart at a glance, for the few classes that most data sets have."""

_GOLDEN = 0.618033988749895
"""Steps of the golden ratio round the color circle never come close to an earlier color for long."""


def color_of(label: int) -> Color:
    """The color of a class number, RGB 0 to 255."""
    if 0 <= label < len(_FIRST):
        return _FIRST[label]
    red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN % 1.0, (0.85, 0.6)[label % 2], (0.95, 0.75)[label // 2 % 2])
    return round(red * 255), round(green * 255), round(blue * 255)


def heat(score: float) -> Color:
    """From blue for 0 over green to red for 1."""
    red, green, blue = colorsys.hsv_to_rgb((1 - min(max(score, 0.0), 1.0)) * 2 / 3, 1.0, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def ink_on(color: Color) -> Color:
    """Black or white, whichever is read more easily on ``color`` (its luminance by ITU-R BT.601)."""
    return (0, 0, 0) if 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140 else (255, 255, 255)
