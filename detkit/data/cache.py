"""A cache of decoded images in memory, within a budget, shared by all worker processes."""

from __future__ import annotations

import mmap
import multiprocessing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.arrays import ImageArray
from detkit.ops.windows import Window


class ImageCache:
    """A cache of the decoded pixels of a data set's first images, as many as fit the budget.

    Forked processes share the cache. A spawned process gets a cache of its own, with its share of the budget.

    Args:
        sizes: ``(M, 2)`` int64 ``height width`` of every image.
        megabytes: The budget, in units of 10^6 bytes.
        processes: Number of processes that divide the budget where memory cannot be shared.
    """

    def __init__(self, sizes: NDArray[np.int64], megabytes: float, processes: int = 1) -> None:
        self._arguments = (sizes, megabytes / max(1, processes), 1)
        lengths = sizes[:, 0] * sizes[:, 1] * 3
        ends = np.cumsum(lengths)
        self.count = int(np.searchsorted(ends, megabytes * 1e6, side="right"))
        """Number of images that fit the budget."""
        self._starts, self._sizes = ends - lengths, sizes
        total = int(ends[self.count - 1]) if self.count else 0
        # Anonymous shared memory: inherited by forked workers, not limited by /dev/shm, and allocated only as it fills.
        self._pixels = mmap.mmap(-1, max(1, total))
        self._filled = mmap.mmap(-1, max(1, self.count))
        self._lock = multiprocessing.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageCache, self._arguments

    def get(self, index: int, window: Window | None = None) -> ImageArray | None:
        """Return a copy of the pixels ``(H, W, 3)`` of an image, or of a window inside it, or None if it is not cached."""
        if not self.has(index):
            return None
        x1, y1, x2, y2 = window or (0, 0, None, None)
        return self._slot(index)[y1:y2, x1:x2].copy()

    def has(self, index: int) -> bool:
        """Return whether an image is cached."""
        if index >= self.count:
            return False
        with self._lock:
            return bool(self._filled[index])

    def put(self, index: int, image: ImageArray) -> None:
        """Cache an image if it fits the budget; it must have the size given to the constructor."""
        if index < self.count:
            self._slot(index)[:] = image
            with self._lock:
                self._filled[index] = 1

    def _slot(self, index: int) -> ImageArray:
        height, width = self._sizes[index].tolist()
        start = int(self._starts[index])
        return np.frombuffer(self._pixels, np.uint8, height * width * 3, start).reshape(height, width, 3)
