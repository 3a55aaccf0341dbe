"""Curves, bars and matrices as images, drawn without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from detkit.drawing.fonts import drawable, font_for
from detkit.drawing.palette import color_of

SIZE = (480, 720)
"""Height and width of curves and bars."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 44, 56
_INK, _GRID, _FILL = (40, 40, 40), (222, 222, 222), (38, 132, 255)
_NAMES, _CELL = 150, 44
"""Room for the names of bars and rows, and the side of a cell, in pixels."""

Points = Sequence[tuple[float, float]]


def draw_lines(curves: Mapping[str, Points], title: str, x_label: str, y_label: str) -> NDArray[np.uint8]:
    """Draw curves over axes from 0 to 1.

    Args:
        curves: Points ``(x, y)`` of each curve, by name; those that are not finite are skipped.
        title: Title of the image.
        x_label: Label of the x axis.
        y_label: Label of the y axis.

    Returns:
        ``(480, 720, 3)`` uint8 RGB.
    """
    canvas, draw = _blank(SIZE, title)
    width, height = SIZE[1] - _LEFT - _RIGHT, SIZE[0] - _TOP - _BOTTOM
    for tenth in range(0, 11, 2):
        x, y = _LEFT + width * tenth / 10, _TOP + height * (1 - tenth / 10)
        draw.line(((_LEFT, y), (SIZE[1] - _RIGHT, y)), fill=_GRID)
        draw.line(((x, _TOP), (x, SIZE[0] - _BOTTOM)), fill=_GRID)
        _text(draw, (_LEFT - 8, y), f"{tenth / 10:.1f}", "rm")
        _text(draw, (x, SIZE[0] - _BOTTOM + 8), f"{tenth / 10:.1f}", "ma")
    _text(draw, (_LEFT + width / 2, SIZE[0] - 24), x_label, "ma")
    _text(draw, (_LEFT, _TOP - 20), y_label, "la")
    for number, (name, points) in enumerate(curves.items()):
        pixels = [(_LEFT + width * _unit(x), _TOP + height * (1 - _unit(y))) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        if len(pixels) > 1:
            draw.line(pixels, fill=color_of(number), width=3, joint="curve")
        row = SIZE[0] - _BOTTOM - 12 - 20 * (len(curves) - number)
        draw.line(((_LEFT + 12, row + 9), (_LEFT + 40, row + 9)), fill=color_of(number), width=3)
        _text(draw, (_LEFT + 48, row), name, "la")
    return _array(canvas)


def draw_bars(values: Mapping[str, float], title: str, most: int = 24) -> NDArray[np.uint8]:
    """Draw horizontal bars from 0 on, at most the first ``most``; values that are not finite have none."""
    rows = list(values.items())[:most]
    canvas, draw = _blank((_TOP + 24 * max(len(rows), 1) + 16, SIZE[1]), title)
    full = max([value for _, value in rows if math.isfinite(value) and value > 0], default=1.0)
    width = SIZE[1] - _NAMES - 110
    for number, (name, value) in enumerate(rows):
        y = _TOP + 24 * number
        _text(draw, (_NAMES, y + 10), _short(name, 20), "rm")
        end = _NAMES + 10 + width * (max(value, 0.0) / full if math.isfinite(value) else 0.0)
        draw.rectangle((_NAMES + 10, y + 2, max(end, _NAMES + 11), y + 18), fill=_FILL)
        _text(draw, (end + 8, y + 10), f"{value:.3f}" if math.isfinite(value) else "-", "lm")
    return _array(canvas)


def draw_matrix(names: Sequence[str], counts: Sequence[Sequence[int]], title: str) -> NDArray[np.uint8]:
    """Draw counts by row and column, each shaded by its fraction of the row; rows and columns have the same names."""
    side = _NAMES + _CELL * len(names)
    canvas, draw = _blank((_TOP + side - _NAMES + 130, max(side + 16, 360)), title)
    for row, name in enumerate(names):
        y = _TOP + _CELL * row
        _text(draw, (_NAMES - 8, y + _CELL / 2), _short(name, 18), "rm")
        _rotated(canvas, (_NAMES + _CELL * row + 12, _TOP + _CELL * len(names) + 8), _short(name, 16))
        total = max(sum(counts[row]), 1)
        for column, count in enumerate(counts[row]):
            x, shade = _NAMES + _CELL * column, count / total
            color = tuple(round(245 + (part - 245) * shade) for part in _FILL)
            draw.rectangle((x, y, x + _CELL - 2, y + _CELL - 2), fill=color)
            if count:
                ink = (255, 255, 255) if shade > 0.5 else _INK
                draw.text((x + _CELL / 2, y + _CELL / 2), f"{count}", fill=ink, font=font_for("0", 13), anchor="mm")
    return _array(canvas)


def _blank(size: tuple[int, int], title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("RGB", (size[1], size[0]), "white")
    draw = ImageDraw.Draw(canvas)
    _text(draw, (size[1] / 2, 10), title, "ma")
    return canvas, draw


def _array(canvas: Image.Image) -> NDArray[np.uint8]:
    return np.array(canvas, dtype=np.uint8)


def _unit(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _text(draw: ImageDraw.ImageDraw, position: tuple[float, float], text: str, anchor: str) -> None:
    text = drawable(text, text.encode("ascii", "replace").decode())
    draw.text(position, text, fill=_INK, font=font_for(text, 14), anchor=anchor)


def _rotated(canvas: Image.Image, position: tuple[float, float], text: str) -> None:
    """Draw text from bottom to top, with its end at ``position``."""
    strip = Image.new("RGB", (122, 20), "white")
    _text(ImageDraw.Draw(strip), (120, 10), text, "rm")
    canvas.paste(strip.rotate(90, expand=True), (round(position[0]), round(position[1])))
