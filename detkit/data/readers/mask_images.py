"""Masks as images: each pixel's value is the number of an object or of a class; files are opened when a sample is made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detkit.structures.run_lengths import coco_runs

_MODES = ("P", "L", "1", "I;16", "I")
"""Pillow's modes of images with one number for each pixel: indices of a palette, or gray values."""


@dataclass(frozen=True, slots=True)
class ImageMask:
    """The pixels of a mask image that have one value, as run lengths in COCO's form when it is called.

    Attributes:
        path: The image.
        value: The value.
    """

    path: str
    value: int

    def __call__(self) -> dict[str, Any]:
        """Return the run lengths.

        Raises:
            ValueError: If the file is missing, or is no image of one number for each pixel.
        """
        values = read_values(self.path)
        return coco_runs(values == self.value, 0, 0, (values.shape[0], values.shape[1]))


def read_values(path: str | Path) -> NDArray[np.integer[Any]]:
    """Return the values of a mask image, ``(H, W)``; the last few files are kept, as one has several objects.

    Raises:
        ValueError: If the file is missing, or is no image of one number for each pixel.
    """
    try:
        status = os.stat(path)
        return _values(str(path), status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise ValueError(f"{path}: the mask image cannot be read ({error.strerror or error})") from None


@lru_cache(maxsize=4)
def _values(path: str, modified: int, size: int) -> NDArray[np.integer[Any]]:
    del modified, size
    with Image.open(path) as image:
        if image.mode not in _MODES:
            raise ValueError(
                f"{path}: expected an image with a palette or gray values, each an object or a class, got colors ({image.mode}); "
                "save the numbers instead"
            )
        values = np.asarray(image)
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def value_boxes(values: NDArray[np.integer[Any]]) -> dict[int, tuple[int, int, int, int]]:
    """Return the box around the pixels of each value that occurs, ``x1 y1 x2 y2``, in ascending order of the values."""
    boxes = {}
    for value in np.unique(values).tolist():
        pixels = values == value
        rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        boxes[value] = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return boxes
