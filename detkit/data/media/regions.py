"""Opening of image files to read windows of them, and reduction of huge images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detkit.arrays import ImageArray
from detkit.data.media.image_regions import ArrayRegions, ImageRegions
from detkit.data.media.images import image_size, read_image
from detkit.data.media.limits import check_pixels, check_streamed_pixels
from detkit.data.media.tiff_regions import TiffRegions
from detkit.ops.windows import Window

LARGE_PIXELS = 1 << 26
"""Images with more pixels, of 200 MB and more as bytes, are read in windows where that is possible."""
_BAND_PIXELS = 1 << 23
"""Pixels that are averaged at a time."""


class DecodedRegions(ImageRegions):
    """The regions of a file that must be decoded whole, which happens when the first of them is read."""

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.size = image_size(path)
        check_pixels(self.size, str(path))
        self._pixels: ImageRegions | None = None

    def read(self, window: Window) -> ImageArray:
        """Return the part of a window that is inside the image."""
        if self._pixels is None:
            self._pixels = ArrayRegions(read_image(self.path))
        return self._pixels.read(window)

    def release(self) -> None:
        """Free the pixels; the next window decodes the file again."""
        self._pixels = None


def open_regions(path: str | Path) -> ImageRegions:
    """Open an image file to read windows of it; the result has the pixels that :func:`read_image` returns.

    Of a TIFF, only the strips or tiles are decoded that a window needs, unless it is a single compressed strip. Files of other formats
    are decoded whole when the first window is read.

    Raises:
        FileNotFoundError: If there is no such file.
        TooManyPixelsError: If the image has too many pixels.
        ValueError: If the file is not an image.
    """
    regions = TiffRegions.open(path)
    if regions is None:
        return DecodedRegions(path)
    check_streamed_pixels(regions.size, str(path))
    return regions


def open_large(path: str | Path) -> ImageArray | ImageRegions:
    """Return the pixels of an image file, or its regions if it is large.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not an image, or has too many pixels.
    """
    regions = TiffRegions.open(path)
    height, width = image_size(path) if regions is None else regions.size
    return open_regions(path) if height * width > LARGE_PIXELS else read_image(path)


def reduced(image: ImageRegions, window: Window, factor: int) -> ImageArray:
    """Return a window whose pixels are the means of blocks of ``factor`` x ``factor`` pixels, rounded.

    The blocks at the right and the bottom can be smaller. The window is read in bands of rows.
    """
    (x1, y1, x2, y2), (height, width) = window, window.size
    result = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    rows = factor * max(1, _BAND_PIXELS // (width * factor))
    for y in range(0, height, rows):
        means = _block_means(image.read(Window(x1, y1 + y, x2, min(y2, y1 + y + rows))), factor)
        result[y // factor : y // factor + len(means)] = means
    return result


def _block_means(band: ImageArray, factor: int) -> ImageArray:
    height, width = band.shape[:2]
    row_starts, column_starts = np.arange(0, height, factor), np.arange(0, width, factor)
    sums: NDArray[np.uint32] = np.add.reduceat(band, row_starts, axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, column_starts, axis=1)
    counts = np.outer(_lengths(row_starts, height), _lengths(column_starts, width)).astype(np.uint32)[:, :, None]
    means: ImageArray = ((sums + counts // 2) // counts).astype(np.uint8)
    return means


def _lengths(starts: NDArray[np.int64], end: int) -> NDArray[np.int64]:
    return np.diff(starts, append=end)
