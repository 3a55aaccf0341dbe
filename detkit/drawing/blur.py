"""Blurring of objects so that what they show cannot be recovered."""

from __future__ import annotations

import numpy as np
from PIL import Image

from detkit.arrays import Floats, ImageArray
from detkit.drawing.windows import pixel_windows

MARGIN = 0.1
"""Margin on each side of a box that is blurred too, as a fraction of the box's side: boxes often cut off a little of an object."""
_MIN_MARGIN = 2
"""Margin in pixels, at least."""
_CELLS = 4
"""Colors along the longer side of a blurred box."""
_CELL_PIXELS = 4
"""Pixels along a side for each of these colors, at least: a small box gets fewer colors."""


def blur_boxes(image: ImageArray, boxes: Floats, margin: float = MARGIN) -> ImageArray:
    """Return a copy of an image with the content of boxes blurred; the image itself if there is nothing to blur.

    Each box is reduced to at most 4 x 4 mean colors, of which a smooth surface is drawn in its place. The details are not in the result,
    so no filter can bring them back, unlike those of a weak Gaussian blur.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2`` in pixels.
        margin: Margin on each side, as a fraction of the box's side.
    """
    windows = pixel_windows(boxes, (image.shape[0], image.shape[1]), margin, _MIN_MARGIN)
    windows = windows[(windows[:, 2:] > windows[:, :2]).all(1)]
    if not len(windows):
        return image
    blurred = image.copy()
    for x1, y1, x2, y2 in windows.tolist():
        blurred[y1:y2, x1:x2] = _smooth(blurred[y1:y2, x1:x2])
    return blurred


def _smooth(pixels: ImageArray) -> ImageArray:
    height, width = pixels.shape[:2]
    cells = [max(1, min(round(_CELLS * side / max(height, width)), side // _CELL_PIXELS)) for side in (width, height)]
    reduced = Image.fromarray(pixels).resize((cells[0], cells[1]), Image.Resampling.BOX)
    return np.asarray(reduced.resize((width, height), Image.Resampling.BICUBIC))
