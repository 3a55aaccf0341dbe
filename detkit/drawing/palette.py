"""Colors of classes, the same in every image, and of scores."""

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
"""Easily distinguishable colors, enough for most datasets."""

GRAY: Color = (128, 128, 128)
"""Color of what is of no class."""

_GOLDEN = 0.618033988749895
"""Step of the hue, a fraction of the color circle: with golden-ratio steps, new hues stay apart from earlier ones."""


def color_of(label: int) -> Color:
    """Return the color of a class label, RGB 0 to 255."""
    if 0 <= label < len(_FIRST):
        return _FIRST[label]
    red, green, blue = colorsys.hsv_to_rgb(label * _GOLDEN % 1.0, (0.85, 0.6)[label % 2], (0.95, 0.75)[label // 2 % 2])
    return round(red * 255), round(green * 255), round(blue * 255)


def heat_color(score: float) -> Color:
    """Return a color from blue for score 0 over green to red for 1."""
    red, green, blue = colorsys.hsv_to_rgb((1 - min(max(score, 0.0), 1.0)) * 2 / 3, 1.0, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def text_color_on(color: Color) -> Color:
    """Return black or white, whichever has more contrast with ``color`` (luminance of ITU-R BT.601)."""
    return (0, 0, 0) if 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 140 else (255, 255, 255)
