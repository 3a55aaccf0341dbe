"""Objects cut out of scikit-image's photographs, and photographs used as backgrounds, for the generated data set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from detkit.arrays import Floats, ImageArray

Premultiplied = Floats
"""``(H, W, 4)``: RGB of 0 to 255 times alpha, and alpha of 0 to 1."""


@dataclass(frozen=True)
class Cutout:
    """An object to paste.

    Attributes:
        name: Its class.
        max_angle: Largest rotation either way, in degrees.
        pixels: ``(H, W, 4)`` uint8 RGBA.
    """

    name: str
    max_angle: float
    pixels: ImageArray


CLASS_NAMES: tuple[str, ...] = ("cat", "coin", "cup", "rocket", "wheel")
"""The classes of the generated data."""

_ROCKET = ((321, 126), (328, 134), (333, 150), (334, 178), (334, 268), (309, 268), (309, 178), (310, 150), (315, 134))
_COINS = ((336, 43, 29), (50, 260, 27), (348, 194, 31), (102, 196, 21), (213, 193, 23), (171, 261, 28), (155, 51, 22), (301, 263, 24))
_BACKGROUNDS = ("brick", "grass", "gravel", "moon", "hubble_deep_field", "immunohistochemistry", "camera", "page")


@lru_cache(maxsize=1)
def cutouts() -> tuple[Cutout, ...]:
    """Return all objects to paste, read once; only photographs inside scikit-image's wheel are used, nothing is downloaded."""
    coins = _photograph("coins")
    return (
        Cutout("cat", 30, _cut_out(_photograph("chelsea"), _ellipse((300, 451), (212, 140), (150, 138)))),
        *(Cutout("coin", 180, _cut_out(coins, _ellipse((303, 384), (x, y), (radius, radius)))) for x, y, radius in _COINS),
        Cutout("cup", 30, _cut_out(_photograph("coffee"), _cup_mask())),
        Cutout("rocket", 180, _cut_out(_photograph("rocket"), _polygon((427, 640), _ROCKET))),
        Cutout("wheel", 180, _cut_out(_photograph("stereo_motorcycle"), _ellipse((500, 741), (201, 321), (78, 80)))),
    )


@lru_cache(maxsize=1)
def backgrounds() -> tuple[ImageArray, ...]:
    """Return photographs that show none of the classes, ``(H, W, 3)`` uint8 RGB."""
    return tuple(_photograph(name) for name in _BACKGROUNDS)


def _photograph(name: str) -> ImageArray:
    """Return one of scikit-image's photographs, ``(H, W, 3)`` uint8 RGB; the left one of a stereo pair."""
    from skimage import data  # imported here because only the generated data needs it

    loaded: Any = getattr(data, name)()
    image = np.asarray(loaded[0] if isinstance(loaded, tuple) else loaded)
    return np.repeat(image[:, :, None], 3, axis=2) if image.ndim == 2 else image[:, :, :3]


def _ellipse(size: tuple[int, int], center: tuple[int, int], radii: tuple[int, int]) -> ImageArray:
    mask = np.zeros(size, np.uint8)
    cv2.ellipse(mask, center, radii, 0, 0, 360, 255, -1, cv2.LINE_AA)
    return mask


def _polygon(size: tuple[int, int], points: tuple[tuple[int, int], ...]) -> ImageArray:
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.array(points, np.int32)], 255, cv2.LINE_AA)
    return mask


def _cup_mask() -> ImageArray:
    """Return the mask of the saucer and the cup on it."""
    return np.maximum(_ellipse((400, 600), (278, 226), (201, 160)), _ellipse((400, 600), (290, 115), (119, 98)))


def _cut_out(image: ImageArray, mask: ImageArray) -> ImageArray:
    """Return the masked part of the image as RGBA, cropped to the mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(np.dstack([image[box], mask[box]]))


def premultiply(pixels: ImageArray) -> Premultiplied:
    """Multiply RGB by alpha, scaled to 0 to 1, so that blending with pixels outside the mask leaves no dark rim."""
    values = pixels.astype(np.float32)
    values[:, :, 3] /= 255
    values[:, :, :3] *= values[:, :, 3:]
    return values


def solid_part(pixels: Premultiplied) -> Premultiplied:
    """Return an object cropped to where it covers more than half of a pixel."""
    solid = pixels[:, :, 3] > 0.5
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def paste(canvas: ImageArray, pixels: Premultiplied, corner: tuple[int, int]) -> None:
    """Blend an object into the canvas in place; parts outside the canvas are cropped."""
    x, y = corner
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + pixels.shape[0], canvas.shape[0]), min(x + pixels.shape[1], canvas.shape[1])
    inside = pixels[top - y : bottom - y, left - x : right - x]
    under = canvas[top:bottom, left:right]
    canvas[top:bottom, left:right] = np.clip(inside[:, :, :3] + under * (1 - inside[:, :, 3:]), 0, 255).astype(np.uint8)
