"""The color spaces of selective search, each a different answer to shadows and highlights."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def _rgb(image: Image) -> Image:
    return image


def _hsv(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), dtype=np.uint8)


def _lab(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), dtype=np.uint8)


def _intensity(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)[..., None]


def _hue(image: Image) -> Image:
    """Hue alone spans 0 to 255, as each of the other single channels does."""
    return np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)[..., :1])


def _rgi(image: Image) -> Image:
    """Normalized red and green, and intensity: the first two do not change with the light's strength."""
    values = image.astype(np.float32)
    total = values.sum(2, keepdims=True)
    shares = np.divide(values[..., :2], total, out=np.full_like(values[..., :2], 1 / 3), where=total > 0)
    return np.concatenate([np.rint(shares * 255).astype(np.uint8), _intensity(image)], 2)


COLOR_SPACES: dict[str, Callable[[Image], Image]] = {
    "rgb": _rgb,
    "hsv": _hsv,
    "hsv_cone": _hsv,
    "lab": _lab,
    "intensity": _intensity,
    "hue": _hue,
    "rgi": _rgi,
}
"""From ``(H, W, 3)`` uint8 RGB to ``(H, W, C)`` uint8, C = 1 or 3 (IJCV 2013, section 3.2.1)."""

_ANGLES = np.arange(256, dtype=np.float32) * np.float32(2 * np.pi / 180)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1) / 2
"""Where a hue of OpenCV's, 0 to 179, lies on a circle with a diameter of 1."""


def as_compared(space: str, colored: Image) -> NDArray[np.uint8] | NDArray[np.float32]:
    """What the segmentation measures distances in: the pixels as they are, but for ``hsv_cone``.

    There hue is an angle and saturation the distance from gray: reds of hue 0 and 179 are neighbors, and where colors are pale, so that
    hue is noise, it hardly counts. All numbers span at most 255.
    """
    if space != "hsv_cone":
        return colored
    gray_to_color = _CIRCLE[colored[..., 0]] * colored[..., 1:2]
    return np.concatenate([gray_to_color, colored[..., 2:]], 2).astype(np.float32)
