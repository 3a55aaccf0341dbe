"""Interface of an image that is read window by window, so that one with a billion pixels needs little memory."""

from __future__ import annotations

from abc import ABC, abstractmethod

from detkit.arrays import ImageArray, Size
from detkit.ops.windows import Window


class ImageRegions(ABC):
    """An image that is read window by window.

    It can be sliced as an array can, ``image[y1:y2, x1:x2]``, which reads that window.
    """

    size: Size
    """``(height, width)`` of the upright image."""

    @abstractmethod
    def read(self, window: Window) -> ImageArray:
        """Return the part of a window that is inside the image, ``(H, W, 3)`` uint8 RGB, upright.

        Raises:
            ValueError: If the file is damaged there.
        """

    def release(self) -> None:  # noqa: B027  most have nothing to release
        """Free memory that is only needed while windows are read."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of all pixels, ``(H, W, 3)``."""
        return (*self.size, 3)

    def __getitem__(self, slices: tuple[slice, slice]) -> ImageArray:
        """Return a window, given as slices of rows and columns without steps."""
        (y1, y2, _), (x1, x2, _) = (part.indices(side) for part, side in zip(slices, self.size, strict=True))
        return self.read(Window(x1, y1, max(x1, x2), max(y1, y2)))


class ArrayRegions(ImageRegions):
    """The regions of an image in memory, ``(H, W, 3)`` uint8 RGB."""

    def __init__(self, pixels: ImageArray) -> None:
        self.pixels = pixels
        self.size = int(pixels.shape[0]), int(pixels.shape[1])

    def read(self, window: Window) -> ImageArray:
        """Return the part of a window that is inside the image, a view of its pixels."""
        return self.pixels[max(0, window.y1) : max(0, window.y2), max(0, window.x1) : max(0, window.x2)]


def stored_window(window: Window, orientation: int, stored: Size) -> Window:
    """Return the window of the stored image that is a window of the upright one; the inverse of ``apply_orientation``."""
    x1, y1, x2, y2 = window
    height, width = stored if orientation < 5 else stored[::-1]
    if orientation in (3, 4, 7, 8):
        y1, y2 = height - y2, height - y1
    if orientation in (2, 3, 6, 7):
        x1, x2 = width - x2, width - x1
    return Window(x1, y1, x2, y2) if orientation < 5 else Window(y1, x1, y2, x2)
