"""The family strip: one column per detector, with its detections above and what answered for them below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from PIL import Image

from detkit.arrays import ImageArray
from detkit.drawing.canvas import Box, Canvas, as_image, readable_scale
from detkit.drawing.palette import Color, color_of
from detkit.drawing.sheets import contact_sheet

if TYPE_CHECKING:
    from torch import Tensor

MAX_SHOWN = 40
"""Detections that are drawn in a column, best first."""
_DRAWN_SIDE, _PANEL_SIDE = 1440, 720
"""Longest side in pixels of the image that is drawn on, and of a panel."""


class Mark(NamedTuple):
    """Something that is drawn: a box, a dashed or thin one (four numbers), or a point or path (pairs of numbers)."""

    shape: Literal["box", "dashed", "thin", "path"]
    numbers: tuple[float, ...]


class Answer(NamedTuple):
    """A detection, its label, and the marks of what answered for it; all in pixels of the image."""

    box: Box
    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class StripColumn:
    """One column.

    Attributes:
        title: Caption of the detections.
        caption: Caption of what answered for them.
        answers: The detections, best first.
    """

    title: str
    caption: str
    answers: Sequence[Answer]


def draw_strip(image: ImageArray | Tensor, columns: Sequence[StripColumn]) -> ImageArray:
    """Draw the columns next to one another; a detection and its answer have one color.

    Raises:
        ValueError: If there are no columns.
    """
    pixels, factor = _shrunk(as_image(image))
    columns = [replace(column, answers=[_scaled(row, factor) for row in column.answers[:MAX_SHOWN]]) for column in columns]
    panels = [_detections(pixels, column) for column in columns] + [_answers(pixels, column) for column in columns]
    captions = [column.title for column in columns] + [column.caption for column in columns]
    return contact_sheet(panels, captions=captions, columns=max(len(columns), 1), max_side=_PANEL_SIDE)


def _detections(pixels: ImageArray, column: StripColumn) -> ImageArray:
    canvas, rows = _canvas(pixels), _colored(column)
    for color, answer in reversed(rows):
        canvas.box(answer.box, color)
    for color, answer in rows:
        canvas.label(answer.box, answer.label, color)
    return canvas.array()


def _answers(pixels: ImageArray, column: StripColumn) -> ImageArray:
    canvas = _canvas(pixels)
    for color, answer in reversed(_colored(column)):
        for mark in answer.marks:
            if mark.shape == "path":
                canvas.path(list(zip(mark.numbers[::2], mark.numbers[1::2], strict=True)), color)
            else:
                x1, y1, x2, y2 = mark.numbers
                canvas.box((x1, y1, x2, y2), color, dashed=mark.shape == "dashed", thin=mark.shape == "thin")
    return canvas.array()


def _colored(column: StripColumn) -> list[tuple[Color, Answer]]:
    return [(color_of(index), answer) for index, answer in enumerate(column.answers)]


def _canvas(pixels: ImageArray) -> Canvas:
    return Canvas(pixels, readable_scale((pixels.shape[0], pixels.shape[1])))


def _shrunk(pixels: ImageArray) -> tuple[ImageArray, float]:
    """Return the image with sides of at most :data:`_DRAWN_SIDE`, and the factor by which it was shrunk."""
    factor = min(1.0, _DRAWN_SIDE / max(pixels.shape[:2]))
    if factor == 1:
        return pixels, factor
    sides = max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor))
    return np.array(Image.fromarray(pixels).resize(sides, Image.Resampling.LANCZOS)), factor


def _scaled(answer: Answer, factor: float) -> Answer:
    x1, y1, x2, y2 = answer.box
    marks = tuple(Mark(mark.shape, tuple(factor * number for number in mark.numbers)) for mark in answer.marks)
    return Answer((factor * x1, factor * y1, factor * x2, factor * y2), answer.label, marks)
