"""Reading of TIFF files that Pillow cannot read or misreads: 16-bit planar, floating-point color, gray with alpha."""

from __future__ import annotations

import io
import logging
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from detkit.arrays import Doubles, ImageArray
from detkit.data.media.limits import TooManyPixelsError, check_pixels, max_pixels

_BITS, _PHOTOMETRIC, _ORIENTATION, _PLANES, _EXTRA = 258, 262, 274, 284, 338
_MAX_BYTES_PER_PIXEL = 8
"""Bytes of the stored values, for each pixel of the limit."""
_ROWS = 512
"""Rows that are converted at once, because 8 bytes a value are too many for a whole image."""


def is_tiff(data: bytes) -> bool:
    """Return whether the bytes start like a TIFF or a BigTIFF."""
    return data[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def pillow_misreads(header: Image.Image) -> bool:
    """Return whether Pillow would decode the file wrongly: more than eight bits per channel, in separate planes."""
    tags: Any = getattr(header, "tag_v2", {})
    return header.format == "TIFF" and tags.get(_PLANES, 1) == 2 and max(tags.get(_BITS, (1,))) > 8


def is_white_zero(header: Image.Image) -> bool:
    """Return whether zero means white, which Pillow respects only for eight bits."""
    tags: Any = getattr(header, "tag_v2", {})
    return header.format == "TIFF" and tags.get(_PHOTOMETRIC) == 0


def read_tiff(data: bytes, name: str) -> tuple[ImageArray, int]:
    """Read the first page as ``(H, W, 3)`` uint8 RGB as stored, over white where it is transparent, and its orientation.

    Raises:
        TooManyPixelsError: If it has more pixels than the limit.
        ValueError: If tifffile cannot read it, it is not a gray or color image, or its floats are outside 0 to 1.
    """
    values, tags = _stored_values(data, name)
    if values.ndim == 3 and tags.get(_PLANES) == 2:
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim != 3 or not 1 <= values.shape[2] <= 4:
        raise ValueError(f"expected 1 to 4 channels, got an array of shape {values.shape}")
    _check_range(values)
    pixels = np.empty((*values.shape[:2], 3), np.uint8)
    for row in range(0, len(values), _ROWS):
        pixels[row : row + _ROWS] = _colors(values[row : row + _ROWS], white_is_zero=tags.get(_PHOTOMETRIC) == 0)
    orientation = tags.get(_ORIENTATION, 1)
    return pixels, int(orientation) if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _stored_values(data: bytes, name: str) -> tuple[npt.NDArray[Any], dict[int, Any]]:
    import tifffile  # installed with scikit-image; imported only for these rare files

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong with the file is said once, in one line
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            _check_page(page, len(data), name)
            values = np.asarray(page.asarray())
            tags = {code: page.tags[code].value for code in (_PHOTOMETRIC, _ORIENTATION, _PLANES) if code in page.tags}
    except TooManyPixelsError:
        raise
    except Exception as error:  # tifffile raises errors of many types on damaged files
        raise ValueError(" ".join(str(error).split())[:300] or type(error).__name__) from None
    return values, tags


def _check_page(page: Any, length: int, name: str) -> None:
    """Check the sizes that a page states before anything of that size is allocated."""
    check_pixels((int(page.imagelength), int(page.imagewidth)), name)
    size = math.prod(map(int, page.shape)) * page.dtype.itemsize
    if size > _MAX_BYTES_PER_PIXEL * max_pixels():
        raise ValueError(f"its values take {size:,} bytes, of at most {_MAX_BYTES_PER_PIXEL * max_pixels():,}")
    if page.compression == 1 and math.prod(map(int, page.shape)) * int(page.bitspersample) // 8 > length:
        raise ValueError(f"it is truncated: its pixels take more than the {length:,} bytes of the file")
    if len(page.dataoffsets) < math.prod(map(int, page.chunked)):
        raise ValueError(f"it is damaged: {len(page.dataoffsets)} of its {math.prod(map(int, page.chunked))} strips are listed")


def _check_range(values: npt.NDArray[Any]) -> None:
    if values.dtype.kind in "ub":
        return
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind != "f" or not (low >= 0 and high <= 1):
        raise ValueError(f"values of type {values.dtype} from {low:g} to {high:g}; expected whole numbers from 0, or 0 to 1")


def _colors(values: npt.NDArray[Any], *, white_is_zero: bool) -> ImageArray:
    """Return rows of stored values, ``(H, W, C)``, as ``(H, W, 3)`` uint8."""
    numbers: Doubles = values / float(np.iinfo(values.dtype).max) if values.dtype.kind == "u" else values.astype(np.float64)
    if white_is_zero:
        numbers = 1 - numbers
    channels = numbers.shape[2]
    colors = numbers[:, :, : 1 if channels < 3 else 3]
    if channels in (2, 4):
        alpha = numbers[:, :, -1:]
        colors = colors * alpha + (1 - alpha)
    return np.rint(np.broadcast_to(colors, (*colors.shape[:2], 3)) * 255).astype(np.uint8)
