"""Reading of large TIFF files window by window: only the strips or tiles that a window needs are decoded.

A strip or a tile is decoded as a file of its own, by the reader of all images, so that its pixels are those of the whole image.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import IO

import numpy as np

from detkit.arrays import ImageArray
from detkit.data.media.exif import apply_orientation
from detkit.data.media.files import check_regular
from detkit.data.media.image_regions import ImageRegions, stored_window
from detkit.data.media.images import decode_image
from detkit.data.media.tiff_layout import TiffLayout, read_layout
from detkit.ops.windows import Window

_ROWS = 64
"""Rows of strips that are decoded together, at least: a file for each of many strips of one row would take long."""
_LARGEST_BLOCK = 1 << 26
"""Pixels of a strip or tile above which the file is decoded whole."""
_CACHE_BYTES = 64 << 20, 256 << 20
"""Bytes of decoded strips or tiles that are kept: at least, and at most for those next to a window, which the next windows need."""


class TiffRegions(ImageRegions):
    """The regions of a TIFF; :meth:`open` makes one.

    Args:
        path: The file.
        layout: Where its strips or tiles are.
    """

    def __init__(self, path: str | Path, layout: TiffLayout) -> None:
        self.path, self._layout = Path(path), layout
        self._step = 1 if layout.is_tiled else -(-_ROWS // layout.block[0])
        height, width = layout.size
        self.size = (width, height) if layout.orientation >= 5 else (height, width)
        self._cache: OrderedDict[tuple[int, int], ImageArray] = OrderedDict()

    @classmethod
    def open(cls, path: str | Path) -> TiffRegions | None:
        """Return the regions of a file; None if it is no TIFF, or one that is decoded whole."""
        check_regular(path)
        try:
            with open(path, "rb") as file:
                layout = read_layout(file)
        except OSError:
            return None  # the reader of whole images reports it
        if layout is None or layout.block[0] * layout.block[1] > _LARGEST_BLOCK:
            return None
        return cls(path, layout)

    def read(self, window: Window) -> ImageArray:
        """Return the part of a window that is inside the image, ``(H, W, 3)`` uint8 RGB, upright.

        Raises:
            ValueError: If the file is damaged there.
        """
        height, width = self.size
        x1, y1, x2, y2 = max(0, window.x1), max(0, window.y1), min(width, window.x2), min(height, window.y2)
        stored = stored_window(Window(x1, y1, max(x1, x2), max(y1, y2)), self._layout.orientation, self._layout.size)
        return apply_orientation(self._read_stored(stored), self._layout.orientation)

    def release(self) -> None:
        """Free the decoded strips or tiles."""
        self._cache.clear()

    def _read_stored(self, window: Window) -> ImageArray:
        """Return a window of the image as stored."""
        result = np.empty((*window.size, 3), np.uint8)
        if not result.size:
            return result
        height, width = self._layout.block[0] * self._step, self._layout.block[1]
        rows = range(window.y1 // height, -(-window.y2 // height))
        self._keep(len(rows) * height * width * self._layout.grid[1] * 3)
        with open(self.path, "rb") as file:
            for row in rows:
                for column in range(window.x1 // width, -(-window.x2 // width)):
                    block = self._block(file, row, column)
                    y, x = row * height, column * width
                    y1, x1, y2, x2 = max(window.y1, y), max(window.x1, x), min(window.y2, y + height), min(window.x2, x + width)
                    part = block[y1 - y : y2 - y, x1 - x : x2 - x]
                    result[y1 - window.y1 : y2 - window.y1, x1 - window.x1 : x2 - window.x1] = part
        return result

    def _block(self, file: IO[bytes], row: int, column: int) -> ImageArray:
        """Return the pixels of some strips, or of a tile."""
        key = row, column
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        first = row * self._step
        data = self._layout.file_of(file, first, min(self._step, self._layout.grid[0] - first), column)
        pixels = decode_image(data, str(self.path), whole=False)
        self._cache[key] = pixels
        while len(self._cache) > 1 and sum(block.nbytes for block in self._cache.values()) > self._budget:
            self._cache.popitem(last=False)
        return pixels

    def _keep(self, wanted: int) -> None:
        """Set how many bytes are kept for the next windows."""
        self._budget = max(_CACHE_BYTES[0], min(wanted, _CACHE_BYTES[1]))
