"""Graph-based segmentation (Felzenszwalb and Huttenlocher, IJCV 2004), the initial regions of selective search."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detkit.accelerate.threads import compiled

SIGMA = 0.8
"""Sigma of the Gaussian blur before segmentation, in pixels (released code of selective search, and section 3.1.3 of the graph paper)."""
STEPS = 65_535
"""Number of distinct edge weights, for the counting sort of the edges."""


@compiled(fastmath=False)
def _find(parents: Any, node: Any) -> Any:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@compiled(fastmath=False)
def _edges(pixels: Any) -> Any:
    """Return the squared color distances of each pixel to its right, lower-left, lower and lower-right neighbors."""
    height, width, channels = pixels.shape
    weights = np.full((4, height, width), -1.0, dtype=np.float32)
    for y in range(height):
        for x in range(width):
            for direction in range(4):
                down = 0 if direction == 0 else 1
                right = (1, -1, 0, 1)[direction]
                if y + down < height and 0 <= x + right < width:
                    total = np.float32(0)
                    for channel in range(channels):
                        difference = pixels[y, x, channel] - pixels[y + down, x + right, channel]
                        total += difference * difference
                    weights[direction, y, x] = total
    return weights


@compiled(fastmath=False)
def _sorted_edges(weights: Any, scale: Any, steps: Any) -> Any:
    """Return the indices of the edges, lightest first, and their quantized weights, by counting sort."""
    flat = weights.ravel()
    keys = np.empty(flat.size, dtype=np.int32)
    counts = np.zeros(steps + 2, dtype=np.int64)
    for edge in range(flat.size):
        if flat[edge] < 0:
            keys[edge] = -1
            continue
        key = min(int(np.sqrt(flat[edge]) * scale), steps)
        keys[edge] = key
        counts[key + 1] += 1
    for key in range(steps + 1):
        counts[key + 1] += counts[key]
    order = np.empty(counts[steps + 1], dtype=np.int32)
    for edge in range(flat.size):
        key = keys[edge]
        if key >= 0:
            order[counts[key]] = edge
            counts[key] += 1
    return order, keys


@compiled(fastmath=False)
def _merge(order: Any, keys: Any, shape: Any, scale: Any, k: Any, min_size: Any) -> Any:
    """Return the region labels ``(H, W)``, numbered from 0, and their count."""
    height, width = shape
    pixels = height * width
    offsets = (1, width - 1, width, width + 1)
    parents = np.arange(pixels).astype(np.int32)
    sizes = np.ones(pixels, dtype=np.int32)
    limits = np.full(pixels, k, dtype=np.float32)
    for second_pass in range(2):
        for edge in order:
            pixel = edge % pixels
            one = _find(parents, pixel)
            other = _find(parents, pixel + offsets[edge // pixels])
            if one == other:
                continue
            weight = np.float32(keys[edge] / scale)
            too_small = second_pass and (sizes[one] < min_size or sizes[other] < min_size)
            if too_small or (not second_pass and weight <= limits[one] and weight <= limits[other]):
                if sizes[one] < sizes[other]:
                    one, other = other, one
                parents[other] = one
                sizes[one] += sizes[other]
                limits[one] = weight + k / sizes[one]
    numbers = np.full(pixels, -1, dtype=np.int32)
    labels = np.empty(pixels, dtype=np.int32)
    count = 0
    for pixel in range(pixels):
        root = _find(parents, pixel)
        if numbers[root] < 0:
            numbers[root] = count
            count += 1
        labels[pixel] = numbers[root]
    return labels.reshape(height, width), count


class SegmentationGraph:
    """The sorted pixel graph of one image; :meth:`regions` segments it at any scale ``k``.

    Args:
        image: ``(H, W, C)``; each channel spans at most 255.
    """

    def __init__(self, image: NDArray[np.uint8] | NDArray[np.float32]) -> None:
        blurred = cv2.GaussianBlur(image.astype(np.float32), (0, 0), SIGMA).reshape(image.shape)
        weights = _edges(np.ascontiguousarray(blurred))
        self._scale = STEPS / (255.0 * float(np.sqrt(image.shape[2])))
        self._order, self._keys = _sorted_edges(weights, self._scale, STEPS)
        self._shape = image.shape[:2]

    def regions(self, k: float, min_size: int) -> tuple[NDArray[np.int32], int]:
        """Return the region labels ``(H, W)`` int32, numbered from 0, and their count.

        A larger ``k`` prefers larger regions. Regions with fewer than ``min_size`` pixels are merged with their nearest neighbor.
        """
        labels, count = _merge(self._order, self._keys, self._shape, self._scale, float(k), min_size)
        return labels, int(count)
