"""Pasting: masks in pixels of an image, from probabilities on a grid over each box."""

from __future__ import annotations

import numpy as np

from detkit.arrays import Floats, Integers, Size
from detkit.structures.masks import Crop, Masks


def paste_masks(probabilities: Floats, boxes: Floats, size: Size, threshold: float = 0.5) -> Masks:
    """Return the pixels at which the interpolated probability is above a threshold, equal to torchvision's up to rounding.

    The grid gets a border of zeros, its box grows accordingly and is rounded to whole pixels, and the grid is resized bilinearly to it
    (torchvision, ``paste_masks_in_image``). Each mask takes two small matrix products, and memory for its box only.

    Args:
        probabilities: ``(N, M, M)``, the probability of each cell of a grid over the box.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2`` in pixels of the image.
        size: ``(height, width)`` of the image.
        threshold: Probability above which a pixel belongs to the object.
    """
    corners = _grown(boxes.astype(np.float32), (probabilities.shape[1] + 2) / probabilities.shape[1]) if len(boxes) else boxes
    return Masks.of([_pasted(grid, corner, size, threshold) for grid, corner in zip(probabilities, corners.tolist(), strict=True)])


def _grown(boxes: Floats, factor: float) -> Integers:
    """Return boxes grown about their centers, with corners rounded towards 0, ``(N, 4)``."""
    half = (boxes[:, 2:] - boxes[:, :2]) * np.float32(0.5) * np.float32(factor)
    center = (boxes[:, 2:] + boxes[:, :2]) * np.float32(0.5)
    return np.concatenate((center - half, center + half), 1).astype(np.int64)


def _pasted(grid: Floats, corners: list[int], size: Size, threshold: float) -> Crop:
    """Return the pixels of one mask: those of its grown box that are in the image."""
    left, top, right, bottom = corners
    rows = _interpolation(grid.shape[0], (top, bottom), size[0])
    columns = _interpolation(grid.shape[1], (left, right), size[1])
    return rows @ grid @ columns.T > threshold, max(0, left), max(0, top)


def _interpolation(cells: int, span: tuple[int, int], side: int) -> Floats:
    """Return ``(pixels, cells)``, the weight of each cell in each pixel of a span, both ends included, that is in an image of this side.

    The border of zeros is left out, as its weights would be multiplied by 0.
    """
    first, last = span
    count = max(1, last - first + 1)
    pixels = np.arange(max(0, first), min(side, first + count)) - first
    scale = np.float32((cells + 2) / count)
    positions = np.maximum((pixels.astype(np.float32) + np.float32(0.5)) * scale - np.float32(0.5), 0)
    distances = np.abs(np.minimum(positions, cells + 1)[:, None] - np.arange(1, cells + 1, dtype=np.float32))
    weights: Floats = np.maximum(1 - distances, 0)
    return weights
