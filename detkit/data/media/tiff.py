"""Reading of TIFF files that Pillow cannot read or misreads: 16-bit planar, floating-point color, gray with alpha."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_BITS, _PHOTOMETRIC, _ORIENTATION, _PLANES, _EXTRA = 258, 262, 274, 284, 338


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


def read_tiff(data: bytes) -> tuple[npt.NDArray[np.float64], int]:
    """Read the first page as ``(H, W, C)`` floats from 0 to 1, as stored, with ``C`` from 1 to 4, and its orientation.

    Raises:
        ValueError: If tifffile cannot read it, it is not a gray or color image, or its floats are outside 0 to 1.
    """
    import tifffile  # installed with scikit-image; imported only for these rare files

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            values = np.asarray(page.asarray())
            tags = {code: page.tags[code].value for code in (_PHOTOMETRIC, _ORIENTATION, _PLANES) if code in page.tags}
    except Exception as error:
        raise ValueError(f"{error}") from None
    if values.ndim == 3 and tags.get(_PLANES) == 2:
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim != 3 or not 1 <= values.shape[2] <= 4:
        raise ValueError(f"expected 1 to 4 channels, got an array of shape {values.shape}")
    numbers = _from_zero_to_one(values)
    if tags.get(_PHOTOMETRIC) == 0:
        numbers = 1 - numbers
    orientation = int(tags.get(_ORIENTATION, 1))
    return numbers, orientation if 1 <= orientation <= 8 else 1


def _from_zero_to_one(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if values.dtype.kind == "u":
        return values / float(np.iinfo(values.dtype).max)
    if values.dtype.kind == "b":
        return values.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return values.astype(np.float64)
    raise ValueError(f"values of type {values.dtype} from {low:g} to {high:g}; expected whole numbers from 0, or 0 to 1")
