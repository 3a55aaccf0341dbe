"""Color spaces of selective search, which differ in their invariance to shadows and highlights."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from detkit.arrays import ImageArray


def _rgb(image: ImageArray) -> ImageArray:
    return image


def _hsv(image: ImageArray) -> ImageArray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), dtype=np.uint8)


def _lab(image: ImageArray) -> ImageArray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), dtype=np.uint8)


def _intensity(image: ImageArray) -> ImageArray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)[..., None]


def _hue(image: ImageArray) -> ImageArray:
    """Hue scaled to 0 to 255, like the other single channels."""
    return np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)[..., :1])


def _rgi(image: ImageArray) -> ImageArray:
    """Normalized red and green, and intensity; the first two are invariant to the intensity of the light."""
    values = image.astype(np.float32)
    total = values.sum(2, keepdims=True)
    chromaticity = np.divide(values[..., :2], total, out=np.full_like(values[..., :2], 1 / 3), where=total > 0)
    return np.concatenate([np.rint(chromaticity * 255).astype(np.uint8), _intensity(image)], 2)


COLOR_SPACES: dict[str, Callable[[ImageArray], ImageArray]] = {
    "rgb": _rgb,
    "hsv": _hsv,
    "hsv_cone": _hsv,
    "lab": _lab,
    "intensity": _intensity,
    "hue": _hue,
    "rgi": _rgi,
}
"""Conversions from ``(H, W, 3)`` uint8 RGB to ``(H, W, C)`` uint8, C = 1 or 3 (IJCV 2013, section 3.2.1)."""

_ANGLES = np.arange(256, dtype=np.float32) * np.float32(2 * np.pi / 180)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1) / 2
"""Position of each OpenCV hue, 0 to 179, on a circle with a diameter of 1."""


def segmentation_values(space: str, colored: ImageArray) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Return the values in which the segmentation measures distances: the unchanged pixels, except for ``hsv_cone``.

    In ``hsv_cone`` hue is an angle and saturation the distance from gray. Reds of hue 0 and 179 are neighbors, and in pale colors,
    where hue is noise, it has little weight. All values span at most 255.
    """
    if space != "hsv_cone":
        return colored
    chroma = _CIRCLE[colored[..., 0]] * colored[..., 1:2]
    return np.concatenate([chroma, colored[..., 2:]], 2).astype(np.float32)
