"""Curves over a logarithmic axis, drawn without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detkit.drawing.fonts import font_for
from detkit.drawing.palette import color_of

SIZE = (480, 720)
"""Size of the plot, ``(height, width)``."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 40, 52
_INK, _GRID = (40, 40, 40), (222, 222, 222)


def draw_curves(curves: Mapping[str, Sequence[tuple[float, float]]], title: str, x_label: str) -> NDArray[np.uint8]:
    """Draw curves with values from 0 to 1 over a logarithmic x axis.

    Args:
        curves: Points ``(x, value)`` of each curve, by name; values that are not finite are skipped.
        title: Title of the plot.
        x_label: Label of the x axis.

    Returns:
        ``(480, 720, 3)`` uint8 RGB.
    """
    canvas = Image.new("RGB", (SIZE[1], SIZE[0]), "white")
    draw = ImageDraw.Draw(canvas)
    largest = max((x for points in curves.values() for x, _ in points), default=1.0)
    decades = max(1.0, math.log10(max(largest, 10.0)))
    _axes(draw, decades, title, x_label)
    for number, (name, points) in enumerate(curves.items()):
        color = color_of(number)
        pixels = [_to_pixels(x, y, decades) for x, y in points if math.isfinite(y) and x >= 1]
        if len(pixels) > 1:
            draw.line(pixels, fill=color, width=3, joint="curve")
        for x, y in pixels:
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=color)
        y = _TOP + 8 + 22 * number
        draw.line(((_LEFT + 12, y + 9), (_LEFT + 40, y + 9)), fill=color, width=3)
        _text(draw, (_LEFT + 48, y), name, "la")
    return np.asarray(canvas, dtype=np.uint8).copy()


def _axes(draw: ImageDraw.ImageDraw, decades: float, title: str, x_label: str) -> None:
    for tenth in range(0, 11, 2):
        x, y = _to_pixels(1, tenth / 10, decades)
        draw.line(((x, y), (SIZE[1] - _RIGHT, y)), fill=_GRID)
        _text(draw, (x - 8, y), f"{tenth / 10:.1f}", "rm")
    for power in range(int(decades) + 1):
        for step in (1, 2, 5):
            if math.log10(step) + power <= decades + 1e-9:
                x, y = _to_pixels(step * 10**power, 0, decades)
                draw.line(((x, _TOP), (x, y)), fill=_GRID)
                if step == 1:
                    _text(draw, (x, y + 6), f"{10**power:,}", "ma")
    draw.rectangle((_LEFT, _TOP, SIZE[1] - _RIGHT, SIZE[0] - _BOTTOM), outline=_INK)
    _text(draw, (SIZE[1] / 2, 12), title, "ma")
    _text(draw, (SIZE[1] / 2, SIZE[0] - 24), x_label, "ma")


def _to_pixels(x: float, y: float, decades: float) -> tuple[float, float]:
    fraction = math.log10(x) / decades
    return _LEFT + fraction * (SIZE[1] - _LEFT - _RIGHT), _TOP + (1 - y) * (SIZE[0] - _TOP - _BOTTOM)


def _text(draw: ImageDraw.ImageDraw, position: tuple[float, float], text: str, anchor: str) -> None:
    draw.text(position, text, fill=_INK, font=font_for(text, 14), anchor=anchor)
