"""Images laid on canvases: whole pixels of the one go to whole pixels of the other, so that boxes follow exactly."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detkit.data.augment.annotated_image import Image, R, cut, moved
from detkit.structures import Size

Window = tuple[int, int, int, int]
"""``x1 y1 x2 y2`` in whole pixels."""
Fill = int | tuple[int, int, int]
"""A gray, or an RGB color."""

_INTERPOLATION = {
    "bilinear": cv2.INTER_LINEAR,
    "bilinear_bytes": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "nearest": cv2.INTER_NEAREST,
}


@dataclass(frozen=True)
class Lens:
    """How new pixels are made from old ones.

    Attributes:
        interpolation: As :attr:`detkit.preprocess.PreprocessConfig.interpolation`; pixels are bytes here in any case.
        average_below: Old pixels are averaged where a image shrinks to less than this share; 0: never, 1: always.
    """

    interpolation: str = "bilinear"
    average_below: float = 0.0

    def resized(self, image: Image, size: Size) -> Image:
        """The image at ``size``; itself if it has it already."""
        if image.shape[:2] == size:
            return image
        share = max(size[0] / image.shape[0], size[1] / image.shape[1])
        how = cv2.INTER_AREA if share < self.average_below else _INTERPOLATION[self.interpolation]
        return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=how), np.uint8)


@dataclass(frozen=True)
class Patch:
    """What a canvas shows of a image: ``window`` of the image, resized to ``size``, its corner at ``corner``.

    Attributes:
        window: ``x1 y1 x2 y2`` in the image, inside it.
        size: ``(height, width)`` on the canvas.
        corner: ``(y, x)`` on the canvas.
    """

    window: Window
    size: Size
    corner: Size

    def pixels(self, image: Image, lens: Lens) -> Image:
        """The image's pixels as they come on the canvas."""
        x1, y1, x2, y2 = self.window
        return lens.resized(image[y1:y2, x1:x2], self.size)

    def rows(self, rows: R, min_visibility: float) -> R:
        """Rows about the image, in the canvas's pixels, cut as :func:`~detkit.data.augment.annotated_image.cut` says."""
        x1, y1, x2, y2 = self.window
        part = (y2 - y1, x2 - x1)
        seen = cut(moved(rows, -x1, -y1), part, min_visibility).resized(part, self.size)
        return moved(seen, self.corner[1], self.corner[0])


def patch(size: Size, scale: tuple[float, float], corner: tuple[float, float], bounds: Window) -> Patch | None:
    """What is seen within ``bounds`` of a canvas when a image lies on it, or None for nothing.

    Args:
        size: ``(height, width)`` of the image.
        scale: Canvas pixels for one of the image, ``(y, x)``.
        corner: Where the image's corner lies on the canvas, ``(y, x)``, maybe outside.
        bounds: ``x1 y1 x2 y2`` on the canvas.
    """
    rows = _span(size[0], scale[0], corner[0], (bounds[1], bounds[3]))
    columns = _span(size[1], scale[1], corner[1], (bounds[0], bounds[2]))
    if rows is None or columns is None:
        return None
    (y1, y2, top, bottom), (x1, x2, left, right) = rows, columns
    return Patch((x1, y1, x2, y2), (bottom - top, right - left), (top, left))


def _span(length: int, scale: float, start: float, bounds: tuple[int, int]) -> Window | None:
    """Along one axis: first and last pixel of the image, first and last pixel of the canvas. Where the image goes on
    beyond the bounds it reaches them exactly; where it ends before, its last pixel is rounded to the nearest.
    """
    low, high = (bounds[0] - start) / scale, (bounds[1] - start) / scale
    if high <= 0 or low >= length or bounds[1] <= bounds[0]:
        return None
    first = bounds[0] if low > 0 else min(round(start), bounds[1] - 1)
    last = bounds[1] if high < length else min(max(round(start + length * scale), first + 1), bounds[1])
    old_first = min(max(0, round(low)), length - 1)
    old_last = max(min(length, round(high)), old_first + 1)
    return old_first, old_last, max(first, bounds[0]), last


def paste(canvas: Image, pixels: Image, corner: Size) -> None:
    """Write pixels into a canvas; the one function here that changes what it is given."""
    y, x = corner
    canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels


def blank(size: Size, fill: Fill) -> Image:
    """A plain image ``(H, W, 3)``."""
    canvas = np.empty((*size, 3), np.uint8)
    canvas[:] = fill
    return canvas
