"""Cuts, canvases and sizes: whole pixels of the picture in, whole pixels out, so that boxes follow exactly."""

from __future__ import annotations

import cv2
import numpy as np

from detkit.data.augment.picture import Image, Picture, cut, moved
from detkit.structures import Size

Window = tuple[int, int, int, int]
"""``x1 y1 x2 y2`` in whole pixels."""


def resized(picture: Picture, size: Size, antialias: bool = False) -> Picture:
    """The picture stretched to ``size``, bilinear; with ``antialias`` old pixels are averaged where it shrinks."""
    if size == picture.size:
        return picture
    return picture.mapped(resized_image(picture.image, size, antialias), lambda rows: rows.resized(picture.size, size))


def resized_image(image: Image, size: Size, antialias: bool = False) -> Image:
    """Pixels alone, see :func:`resized`."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] < image.shape[0] and size[1] < image.shape[1]
    how = cv2.INTER_AREA if antialias and shrinks else cv2.INTER_LINEAR
    made: Image = cv2.resize(image, (size[1], size[0]), interpolation=how)
    return made


def cropped(picture: Picture, window: Window, min_visibility: float) -> Picture:
    """The part of the picture in ``window``, which lies inside it; rows are cut as :func:`~detkit.data.augment.picture.cut` says."""
    x1, y1, x2, y2 = window
    if window == (0, 0, picture.size[1], picture.size[0]):
        return picture
    return picture.mapped(picture.image[y1:y2, x1:x2], lambda rows: cut(moved(rows, -x1, -y1), (y2 - y1, x2 - x1), min_visibility))


def on_canvas(picture: Picture, size: Size, corner: Size, fill: int | tuple[int, int, int]) -> Picture:
    """The whole picture laid on a canvas of ``size`` with its corner at ``corner`` ``(y, x)``."""
    if size == picture.size and corner == (0, 0):
        return picture
    canvas = blank(size, fill)
    paste(canvas, picture.image, corner)
    return picture.mapped(canvas, lambda rows: moved(rows, corner[1], corner[0]))


def blank(size: Size, fill: int | tuple[int, int, int]) -> Image:
    """A plain image ``(H, W, 3)``."""
    if isinstance(fill, int):
        return np.full((*size, 3), fill, np.uint8)
    return np.ascontiguousarray(np.broadcast_to(np.array(fill, np.uint8), (*size, 3)))


def paste(canvas: Image, image: Image, corner: Size) -> None:
    """Write an image that lies inside the canvas into it; the one function here that changes what it is given."""
    y, x = corner
    canvas[y : y + image.shape[0], x : x + image.shape[1]] = image
