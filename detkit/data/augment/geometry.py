"""Placing images on canvases: whole pixels map to whole pixels, so that boxes follow exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from detkit.arrays import ImageArray
from detkit.data.augment.annotated_image import R, crop_rows, shift_rows
from detkit.ops.windows import Window
from detkit.structures import Size

Fill = int | tuple[int, int, int]
"""A gray value, or an RGB color."""

_INTERPOLATION = {
    "bilinear": cv2.INTER_LINEAR,
    "bilinear_bytes": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "nearest": cv2.INTER_NEAREST,
}


@dataclass(frozen=True)
class Resampler:
    """Resize images with a fixed interpolation.

    Attributes:
        interpolation: As :attr:`detkit.preprocess.PreprocessConfig.interpolation`; pixels are always uint8 here.
        average_below: Scale below which pixels are averaged over their area instead; 0: never, 1: whenever the image shrinks.
    """

    interpolation: str = "bilinear"
    average_below: float = 0.0

    def resize(self, image: ImageArray, size: Size) -> ImageArray:
        """Resize an image to ``size``; it is returned unchanged if it already has that size."""
        if image.shape[:2] == size:
            return image
        scale = max(size[0] / image.shape[0], size[1] / image.shape[1])
        method = cv2.INTER_AREA if scale < self.average_below else _INTERPOLATION[self.interpolation]
        return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=method), np.uint8)


@dataclass(frozen=True)
class Patch:
    """The part of an image that is visible on a canvas: ``window`` of the image, resized to ``size``, placed at ``corner``.

    Attributes:
        window: ``x1 y1 x2 y2`` in the image, inside it.
        size: ``(height, width)`` on the canvas.
        corner: ``(y, x)`` on the canvas.
    """

    window: Window
    size: Size
    corner: Size

    def pixels(self, image: ImageArray, resampler: Resampler) -> ImageArray:
        """Return the visible pixels of the image, at their size on the canvas."""
        x1, y1, x2, y2 = self.window
        return resampler.resize(image[y1:y2, x1:x2], self.size)

    def rows(self, rows: R, min_visibility: float) -> R:
        """Transform rows of the image to canvas pixels, cropped as in :func:`~detkit.data.augment.annotated_image.crop_rows`."""
        visible = crop_rows(rows, self.window, min_visibility).resized(self.window.size, self.size)
        return shift_rows(visible, self.corner[1], self.corner[0])


def visible_patch(size: Size, scale: tuple[float, float], corner: tuple[float, float], bounds: Window) -> Patch | None:
    """Return the part of a scaled image that is visible within ``bounds`` of a canvas, or None if nothing is.

    Args:
        size: ``(height, width)`` of the image.
        scale: Canvas pixels per image pixel, ``(y, x)``.
        corner: Position of the image's corner on the canvas, ``(y, x)``; may be outside.
        bounds: ``x1 y1 x2 y2`` on the canvas.
    """
    rows = _span(size[0], scale[0], corner[0], (bounds[1], bounds[3]))
    columns = _span(size[1], scale[1], corner[1], (bounds[0], bounds[2]))
    if rows is None or columns is None:
        return None
    window = Window(columns.image_first, rows.image_first, columns.image_end, rows.image_end)
    return Patch(window, (rows.end - rows.first, columns.end - columns.first), (rows.first, columns.first))


class _Span(NamedTuple):
    """The visible pixels along one axis: first and end in the image, first and end on the canvas."""

    image_first: int
    image_end: int
    first: int
    end: int


def _span(length: int, scale: float, start: float, bounds: tuple[int, int]) -> _Span | None:
    """Return the visible pixels along one axis, None if there are none.

    Where the image extends beyond the bounds, the range ends exactly there; where it ends earlier, its end is rounded to the
    nearest pixel.
    """
    low, high = (bounds[0] - start) / scale, (bounds[1] - start) / scale
    if high <= 0 or low >= length or bounds[1] <= bounds[0]:
        return None
    first = bounds[0] if low > 0 else min(round(start), bounds[1] - 1)
    end = bounds[1] if high < length else min(max(round(start + length * scale), first + 1), bounds[1])
    image_first = min(max(0, round(low)), length - 1)
    image_end = max(min(length, round(high)), image_first + 1)
    return _Span(image_first, image_end, max(first, bounds[0]), end)


def paste(canvas: ImageArray, pixels: ImageArray, corner: Size) -> None:
    """Write pixels into a canvas in place; the only function here that modifies its input."""
    y, x = corner
    canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels


def filled_canvas(size: Size, fill: Fill) -> ImageArray:
    """Return a canvas of one color, ``(H, W, 3)``."""
    canvas = np.empty((*size, 3), np.uint8)
    canvas[:] = fill
    return canvas
