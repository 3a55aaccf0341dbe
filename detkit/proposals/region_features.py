"""Region features of selective search: size, bounding box, color and texture (IJCV 2013, section 3.2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detkit.accelerate.threads import compiled

COLOR_BINS = 25
"""Bins of the color histogram of each channel (section 3.2.2)."""
TEXTURE_BINS = 10
"""Bins of the texture histogram of each channel and orientation (section 3.2.2)."""
ORIENTATIONS = 8
"""Orientations of the Gaussian derivatives (section 3.2.2)."""
TEXTURE_SIGMA = 1.0
"""Standard deviation of the Gaussian derivatives, in pixels (section 3.2.2)."""


@dataclass(frozen=True, eq=False)
class Regions:
    """The ``n`` initial regions of one segmentation.

    Attributes:
        sizes: ``(n,)`` int64 number of pixels.
        boxes: ``(n, 4)`` int32 ``x1 y1 x2 y2``, the last two exclusive.
        colors: ``(n, 25 C)`` float32 histograms that sum to 1.
        textures: ``(n, 80 C)`` float32 histograms that sum to 1.
        neighbors: ``(e, 2)`` int32 pairs of adjacent regions, each pair once.
    """

    sizes: NDArray[np.int64]
    boxes: NDArray[np.int32]
    colors: NDArray[np.float32]
    textures: NDArray[np.float32]
    neighbors: NDArray[np.int32]


def texture_bins(image: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return the bin of each pixel's derivative in four directions, ``(4, H, W, C)`` int8, negative for the opposite direction.

    Four directions and their opposites make eight orientations; a value of 0 belongs to the first bin of both. Bins span the range of
    each channel.
    """
    blurred = cv2.GaussianBlur(image.astype(np.float32), (0, 0), TEXTURE_SIGMA).reshape(image.shape)
    horizontal = cv2.Sobel(blurred, cv2.CV_32F, 1, 0, ksize=1).reshape(image.shape)
    vertical = cv2.Sobel(blurred, cv2.CV_32F, 0, 1, ksize=1).reshape(image.shape)
    diagonal = np.float32(np.sqrt(0.5))
    bins = np.empty((ORIENTATIONS // 2, *image.shape), dtype=np.int8)
    for index, derivative in enumerate((horizontal, vertical, (horizontal + vertical) * diagonal, (horizontal - vertical) * diagonal)):
        largest = np.maximum(derivative.max((0, 1)), -derivative.min((0, 1)))
        scale = np.where(largest > 0, TEXTURE_BINS / np.maximum(largest, 1e-6), 0).astype(np.float32)
        bins[index] = np.clip(derivative * scale, -(TEXTURE_BINS - 1), TEXTURE_BINS - 1)
    return bins


@compiled(fastmath=False)
def _boxes_and_colors(labels: Any, image: Any, count: Any) -> Any:
    height, width, channels = image.shape
    sizes = np.zeros(count, dtype=np.int64)
    boxes = np.empty((count, 4), dtype=np.int32)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = width, height, 0, 0
    colors = np.zeros((count, channels * COLOR_BINS), dtype=np.float32)
    for y in range(height):
        for x in range(width):
            region = labels[y, x]
            sizes[region] += 1
            boxes[region, 0] = min(boxes[region, 0], x)
            boxes[region, 1] = min(boxes[region, 1], y)
            boxes[region, 2] = max(boxes[region, 2], x + 1)
            boxes[region, 3] = max(boxes[region, 3], y + 1)
            for channel in range(channels):
                colors[region, channel * COLOR_BINS + image[y, x, channel] * COLOR_BINS // 256] += 1
    return sizes, boxes, colors


@compiled(fastmath=False)
def _textures(labels: Any, bins: Any, sizes: Any) -> Any:
    directions, height, width, channels = bins.shape
    columns = channels * directions * 2 * TEXTURE_BINS
    textures = np.zeros((len(sizes), columns), dtype=np.float32)
    for direction in range(directions):
        for y in range(height):
            for x in range(width):
                for channel in range(channels):
                    value = bins[direction, y, x, channel]
                    if value != 0:
                        orientation = (channel * directions + direction) * 2 + (value < 0)
                        textures[labels[y, x], orientation * TEXTURE_BINS + abs(value)] += 1
    for region in range(len(sizes)):
        for start in range(0, columns, TEXTURE_BINS):
            others = np.float32(0)
            for index in range(start + 1, start + TEXTURE_BINS):
                others += textures[region, index]
            textures[region, start] = sizes[region] - others
    return textures


def _neighbors(labels: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """Return the pairs of regions with horizontally or vertically adjacent pixels."""
    codes = []
    for one, other in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        different = one != other
        first, second = one[different].astype(np.int64), other[different].astype(np.int64)
        codes.append(np.minimum(first, second) * count + np.maximum(first, second))
    pairs = np.unique(np.concatenate(codes))
    return np.stack([pairs // max(count, 1), pairs % max(count, 1)], 1).astype(np.int32)


def region_features(labels: NDArray[np.int32], count: int, image: NDArray[np.uint8], bins: NDArray[np.int8]) -> Regions:
    """Compute the features of the regions of a segmented image ``(H, W, C)`` uint8 with texture ``bins``."""
    sizes, boxes, colors = _boxes_and_colors(labels, image, count)
    textures = _textures(labels, bins, sizes)
    colors /= colors.sum(1, keepdims=True)
    textures /= textures.sum(1, keepdims=True)
    return Regions(sizes, boxes, colors, textures, _neighbors(labels, count))
