"""The eight EXIF orientations: what they do to pixels and to boxes."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image

from detkit.structures import Size

_ORIENTATION_TAG = 0x0112


def stored_orientation(image: Image.Image) -> int:
    """The orientation a picture file asks for, 1 (upright as stored) to 8; anything unreadable counts as 1."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except (ValueError, TypeError, KeyError, IndexError, OSError, SyntaxError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def turn(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """``(H, W, C)`` pixels as stored, turned upright; contiguous. From 5 on, height and width change places."""
    if orientation == 1:
        return image
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)


def turn_boxes(boxes: npt.NDArray[np.float64], orientation: int, size: Size) -> npt.NDArray[np.float64]:
    """``(N, 4)`` boxes on a picture as stored, of ``size`` (height, width), moved to where :func:`turn` puts the same pixels."""
    x1, y1, x2, y2 = boxes.T
    height, width = size
    if orientation >= 5:
        x1, y1, x2, y2 = y1, x1, y2, x2
        height, width = width, height
    if orientation in (2, 3, 6, 7):
        x1, x2 = width - x2, width - x1
    if orientation in (3, 4, 7, 8):
        y1, y2 = height - y2, height - y1
    return np.stack([x1, y1, x2, y2], axis=1)
