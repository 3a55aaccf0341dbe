"""Masks on a canvas: translucent fills, outlines, and areas that are wider by some pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from detkit.arrays import Flags, Size
from detkit.structures.masks import Crop, Masks

FILL = 0.4
"""Opacity of the fill of a mask."""


def scaled(masks: Masks, row: int, scale: int) -> Crop:
    """Return the pixels of a mask in an enlarged copy of its image, with smooth borders."""
    pixels, (x, y) = masks.crop(row), masks.windows[row, :2].tolist()
    if scale == 1 or not pixels.size:
        return pixels, x * scale, y * scale
    padded = Image.fromarray(np.pad(pixels, 1).astype(np.uint8) * 255)
    large = np.asarray(padded.resize((padded.width * scale, padded.height * scale), Image.Resampling.BICUBIC)) >= 128
    return large, (x - 1) * scale, (y - 1) * scale


def inside(crop: Crop, size: Size) -> Crop:
    """Return the part of a mask that is in an image of ``size``."""
    pixels, x, y = crop
    left, top = max(0, -x), max(0, -y)
    right, bottom = max(left, min(pixels.shape[1], size[1] - x)), max(top, min(pixels.shape[0], size[0] - y))
    return pixels[top:bottom, left:right], x + left, y + top


def outline(pixels: Flags, width: int) -> Flags:
    """Return the pixels of a mask ``(h, w)`` that are at most ``width`` pixels from its border."""
    return pixels & ~shrunk(np.pad(pixels, width), width)[width:-width, width:-width]


def shrunk(pixels: Flags, width: int) -> Flags:
    """Return the pixels ``(h, w)`` whose neighbors, up to ``width`` away in both directions, all belong to the mask."""
    for _ in range(2):  # along the columns, then along the rows
        sums = np.cumsum(np.pad(pixels, ((width + 1, width), (0, 0))), 0, dtype=np.int32)
        pixels = (sums[2 * width + 1 :] - sums[: -2 * width - 1] == 2 * width + 1).T
    return pixels


def grown(pixels: Flags, width: int) -> Flags:
    """Return the pixels ``(h, w)`` that are at most ``width`` away from the mask in both directions."""
    return ~shrunk(np.pad(~pixels, width, constant_values=True), width)[width:-width, width:-width] if width else pixels
