"""Colors of decoded images: every mode of Pillow as ``(H, W, 3)`` uint8 RGB."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detkit.arrays import ImageArray
from detkit.data.media.tiff import is_white_zero

_FAINT = 4096
"""16-bit images with all values below this come from a camera of 12 bits or fewer, and appear almost black."""

_log = logging.getLogger(__name__)


class ImageValuesError(Exception):
    """An image that decodes, but whose values cannot be interpreted as colors."""


def to_rgb(image: Image.Image, name: str, whole: bool) -> ImageArray:
    """Convert a decoded image, as stored.

    Args:
        image: The image.
        name: Its name in messages.
        whole: Whether it is a whole image; of a part of one, no warning says that it is dark.

    Raises:
        ImageValuesError: If its values cannot be interpreted as colors.
    """
    convert = _CONVERSIONS.get(image.mode)
    if convert is not None:
        values, zero = np.asarray(image), "white" if is_white_zero(image) else "black"
        gray = convert(values, name)
        if whole and image.mode != "F" and 0 < (high := int(values.max())) < _FAINT:
            _warn_of_faint(name, high, zero)
        if zero == "white":
            gray = 255 - gray
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        foreground = image.convert("RGBA")
        white = Image.new("RGBA", foreground.size, (255, 255, 255, 255))
        return np.array(Image.alpha_composite(white, foreground).convert("RGB"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


@cache  # once per file, not once per epoch
def _warn_of_faint(name: str, high: int, zero: str) -> None:
    _log.warning("%s: its largest value is %d of 65535, so it is read as nearly %s; scale the values to 16 bits", name, high, zero)


def _gray_from_integers(values: NDArray[np.generic], name: str) -> ImageArray:
    """Scale 16 bits to 8: 65535 becomes 255, and values in between are rounded."""
    wide = values.astype(np.int64)
    low, high = int(wide.min()), int(wide.max())
    if low < 0 or high > 65535:
        raise ImageValuesError(f"{name}: its gray values are from {low} to {high}; expected 0 to 65535; save it with 8 or 16 bits")
    return ((wide * 255 + 32767) // 65535).astype(np.uint8)


def _gray_from_floats(values: NDArray[np.generic], name: str) -> ImageArray:
    numbers = values.astype(np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    if not (low >= 0 and high <= 1):
        raise ImageValuesError(
            f"{name}: its floating-point values are from {low:g} to {high:g}; expected 0 to 1; save it with 8 or 16 bits"
        )
    return np.rint(numbers * 255).astype(np.uint8)


_CONVERSIONS: dict[str, Callable[[NDArray[np.generic], str], ImageArray]] = {
    "I;16": _gray_from_integers,
    "I;16B": _gray_from_integers,
    "I;16L": _gray_from_integers,
    "I;16N": _gray_from_integers,
    "I": _gray_from_integers,
    "F": _gray_from_floats,
}
