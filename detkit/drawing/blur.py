"""Blurring of objects so that what they show cannot be recovered."""

from __future__ import annotations

import numpy as np
from PIL import Image

from detkit.arrays import Flags, Floats, ImageArray
from detkit.drawing.masks import grown
from detkit.drawing.windows import pixel_windows
from detkit.structures.masks import Masks

MARGIN = 0.1
"""Margin on each side of a box that is blurred too, as a fraction of the box's side: boxes often cut off a little of an object."""
_MIN_MARGIN = 2
"""Margin in pixels, at least."""
_CELLS = 4
"""Colors along the longer side of a blurred box."""
_CELL_PIXELS = 4
"""Pixels along a side for each of these colors, at least: a small box gets fewer colors."""


def blur_boxes(image: ImageArray, boxes: Floats, margin: float = MARGIN, masks: Masks | None = None) -> ImageArray:
    """Return a copy of an image with the content of boxes, or of masks, blurred; the image itself if there is nothing to blur.

    Each box is reduced to at most 4 x 4 mean colors, of which a smooth surface is drawn in its place. The details are not in the result,
    so no filter can bring them back, unlike those of a weak Gaussian blur.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2`` in pixels.
        margin: Margin on each side, as a fraction of the box's side.
        masks: The masks of the objects: only they are blurred, with the same margin; an object with an empty mask is blurred as a box.
    """
    size = image.shape[0], image.shape[1]
    windows = pixel_windows(boxes, size, margin, _MIN_MARGIN)
    rows = np.flatnonzero((windows[:, 2:] > windows[:, :2]).all(1)).tolist()
    if not rows:
        return image
    blurred = image.copy()
    for row in rows:
        x1, y1, x2, y2 = windows[row].tolist()
        part = blurred[y1:y2, x1:x2]
        smooth = _smooth(part)
        width = max(_MIN_MARGIN, round(margin * float(np.ptp(boxes[row].reshape(2, 2), 0).max())))
        area = None if masks is None else _area(masks[[row]], (x1, y1, x2, y2), width)
        part[:] = smooth if area is None else np.where(area[:, :, None], smooth, part)
    return blurred


def _area(mask: Masks, window: tuple[int, int, int, int], width: int) -> Flags | None:
    """Return the pixels of a window to blur, the mask with a margin of some pixels; None for all of them."""
    x1, y1, x2, y2 = window
    pixels = mask.cropped(window).array(0, (y2 - y1, x2 - x1))
    return grown(pixels, width) if pixels.any() else None


def _smooth(pixels: ImageArray) -> ImageArray:
    height, width = pixels.shape[:2]
    cells = [max(1, min(round(_CELLS * side / max(height, width)), side // _CELL_PIXELS)) for side in (width, height)]
    reduced = Image.fromarray(pixels).resize((cells[0], cells[1]), Image.Resampling.BOX)
    return np.asarray(reduced.resize((width, height), Image.Resampling.BICUBIC))
