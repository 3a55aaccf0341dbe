"""Grids of mask probabilities over boxes that are clipped, joined or averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detkit.arrays import Floats, Integers

_SAME = 0.01
"""Pixels by which a corner may move before its grid is resampled: less is rounding."""


def regrid(grids: Floats, boxes: Floats, new_boxes: Floats) -> Floats:
    """Return the probabilities on grids over other boxes, interpolated bilinearly; they are 0 outside of the old boxes.

    Args:
        grids: ``(N, M, M)`` probabilities.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2``, the box of each grid.
        new_boxes: ``(N, 4)``, the boxes of the new grids.
    """
    moved = np.flatnonzero((np.abs(boxes - new_boxes) > _SAME).any(1))
    result = grids.copy()
    if len(moved):
        columns, rows = (_interpolation(boxes[moved][:, axis::2], new_boxes[moved][:, axis::2], grids.shape[1]) for axis in (0, 1))
        result[moved] = rows @ grids[moved] @ columns.transpose(0, 2, 1)
    return result


def joined_grid(grids: Floats, boxes: Floats, box: Floats) -> Floats:
    """Return the highest probability of parts of an object, ``(M, M)``, on a grid over the box ``(4,)`` around all of them."""
    highest: Floats = regrid(grids, boxes, np.broadcast_to(box, boxes.shape)).max(0)
    return highest


def mean_grids(grids: Floats, scores: Floats, members: Sequence[Integers]) -> Floats:
    """Return the means of grids, weighted by the scores of their detections, for each group of rows: ``(n, M, M)``."""
    means = [np.average(grids[rows], 0, scores[rows]) for rows in members]
    return np.array(means, np.float32).reshape(-1, *grids.shape[1:])


def _interpolation(old: Floats, new: Floats, cells: int) -> Floats:
    """Return ``(N, cells, cells)``, the weight of each old cell in each new one along an axis, on which boxes begin and end."""
    centers = new[:, :1] + (new[:, 1:] - new[:, :1]) * ((np.arange(cells, dtype=np.float32) + np.float32(0.5)) / np.float32(cells))
    lengths = np.maximum(old[:, 1:] - old[:, :1], np.float32(1e-6))
    positions = (centers - old[:, :1]) / lengths * np.float32(cells) - np.float32(0.5)
    weights: Floats = np.maximum(1 - np.abs(positions[..., None] - np.arange(cells, dtype=np.float32)), 0).astype(np.float32)
    return weights
