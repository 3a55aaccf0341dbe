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

from detkit.data.media.files import check_regular
from detkit.structures.run_lengths import coco_runs

Palette = tuple[tuple[tuple[int, int, int], int], ...]
"""Colors, red, green and blue, and the value of each."""
_MODES = ("P", "L", "1", "I;16", "I")
"""Pillow's modes of images with one number for each pixel: indices of a palette, or gray values."""


@dataclass(frozen=True, slots=True)
class ImageMask:
    """The pixels of a mask image that have one value, as run lengths in COCO's form when it is called.

    Attributes:
        path: The image.
        value: The value.
        palette: The colors of the values, if the image is one of colors.
    """

    path: str
    value: int
    palette: Palette = ()

    def __call__(self) -> dict[str, Any]:
        """Return the run lengths.

        Raises:
            ValueError: If the file is missing, or is no image of one number for each pixel.
        """
        values = read_values(self.path, self.palette)
        return coco_runs(values == self.value, 0, 0, (values.shape[0], values.shape[1]))


def read_values(path: str | Path, palette: Palette = ()) -> NDArray[np.integer[Any]]:
    """Return the values of a mask image, ``(H, W)``; the last few files are kept, as one has several objects.

    Args:
        path: The image.
        palette: The color of each value; empty: the image has a number for each pixel.

    Raises:
        ValueError: If the file is missing, is no image of one number for each pixel, or has a color that is not in the palette.
    """
    try:
        status = os.stat(path)
        return _values(str(path), status.st_mtime_ns, status.st_size, palette)
    except OSError as error:
        raise ValueError(f"{path}: the mask image cannot be read ({error.strerror or error})") from None


@lru_cache(maxsize=4)
def _values(path: str, modified: int, size: int, palette: Palette) -> NDArray[np.integer[Any]]:
    del modified, size
    mode, values = _decoded(path, colors=bool(palette))
    if palette:
        return _values_of_colors(values, palette, path)
    if mode not in _MODES:
        raise ValueError(
            f"{path}: expected an image with a palette or gray values, each an object or a class, got colors ({mode}); "
            "save numbers instead, or, if colors are classes, state them in labelmap.txt next to the images, such as road:128,64,128"
        )
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def _decoded(path: str, *, colors: bool) -> tuple[str, NDArray[Any]]:
    """Return Pillow's mode of an image and its pixels, in red, green and blue if ``colors`` are asked for."""
    check_regular(path)
    try:
        with Image.open(path) as image:
            return image.mode, np.asarray(image.convert("RGB") if colors else image)
    except OSError:
        raise
    except Exception as error:  # decoders raise whatever they meet in a damaged file, such as a SyntaxError
        raise ValueError(f"{path}: the mask image cannot be read ({error}); save or export it again") from None


def _values_of_colors(pixels: NDArray[np.uint8], palette: Palette, path: str) -> NDArray[np.integer[Any]]:
    """Return the value of the color of each pixel ``(H, W, 3)``."""
    codes = pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    known = np.array([color[0] << 16 | color[1] << 8 | color[2] for color, _ in palette], np.int32)
    order = np.argsort(known)
    index = order[np.searchsorted(known, codes, sorter=order).clip(max=len(known) - 1)]
    unknown = known[index] != codes
    if unknown.any():
        color = ",".join(map(str, pixels[unknown][0].tolist()))
        advice = "add it to labelmap.txt with its class, or as ignore"
        raise ValueError(f"{path}: color {color} is none of the {len(known)} of the classes; {advice}:{color}")
    return np.asarray(np.array([value for _, value in palette], np.int32)[index])


def value_boxes(values: NDArray[np.integer[Any]]) -> dict[int, tuple[int, int, int, int]]:
    """Return the box around the pixels of each value that occurs, ``x1 y1 x2 y2``, in ascending order of the values."""
    boxes = {}
    for value in np.unique(values).tolist():
        pixels = values == value
        rows, columns = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        boxes[value] = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return boxes
