"""Whole pixels of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.arrays import Integers, Size


def pixel_windows(boxes: Any, size: Size, margin: float = 0.0, min_margin: float = 0.0) -> Integers:
    """Return ``(N, 4)`` whole pixels ``x1 y1 x2 y2`` that boxes touch in an image, with a margin; empty for a box without area in it.

    Args:
        boxes: ``(N, 4)`` ``x1 y1 x2 y2`` in pixels.
        size: ``(height, width)`` of the image, at whose border the margin ends.
        margin: Margin on each side, as a fraction of the box's side.
        min_margin: Margin on each side in pixels, at least.
    """
    rows = np.asarray(boxes, np.float64).reshape(-1, 4)
    low, high, limit = rows[:, :2], rows[:, 2:], np.array([size[1], size[0]], np.float64)
    is_inside = ((high > 0) & (low < limit) & (high > low)).all(1, keepdims=True)
    border = np.maximum(margin * (high - low), min_margin)
    corners = np.clip(np.floor(low - border), 0, limit), np.clip(np.ceil(high + border), 0, limit)
    return np.concatenate([corners[0], np.where(is_inside, corners[1], corners[0])], 1).astype(np.int64)
