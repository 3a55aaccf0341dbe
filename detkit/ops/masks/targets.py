"""Mask targets: the fraction of each cell of a grid over a box that an object covers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.arrays import Floats, Integers, Size
from detkit.structures.masks import Masks

CHUNK = 64
"""Boxes of which the weights are computed together; they take up to 28 numbers for each pixel of a row and a column of the image."""


def mask_targets(masks: Masks, rows: Integers, boxes: Floats, size: Size, side: int) -> Floats:
    """Return ``(N, side, side)``, the mean of a mask over each cell of a grid over a box, sampled as RoI align does.

    Equal to ``torchvision.ops.roi_align`` of the mask as an image, with adaptive sampling and without the shift of half a pixel, which is
    how torchvision makes its targets. RoI align of one channel is a product of the samples' weights along the columns, the pixels, and the
    weights along the rows. Only the pixels of a mask within a box are read, and those of one object at a time.

    Args:
        masks: The masks of the objects of one image.
        rows: ``(N,)``, the mask of each box.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2`` in pixels of the image.
        size: ``(height, width)`` of the image.
        side: Cells of a side of the grid.
    """
    targets = np.zeros((len(rows), side, side), np.float32)
    order = np.argsort(rows, kind="stable")
    for start in range(0, len(order), CHUNK):
        chunk = order[start : start + CHUNK]
        targets[chunk] = _targets(masks, rows[chunk], boxes[chunk].astype(np.float32), size, side)
    return targets


def _targets(masks: Masks, rows: Integers, boxes: Floats, size: Size, side: int) -> Floats:
    """Return the targets of boxes whose masks are in order."""
    windows = masks.windows[rows].astype(np.int64)
    x, y = (_Weights.of(boxes[:, axis::2], windows[:, axis::2], size[1 - axis], side) for axis in (0, 1))
    targets = np.zeros((len(rows), side, side), np.float32)
    crop, previous = np.zeros((0, 0), np.bool_), -1
    for index, row in enumerate(rows.tolist()):
        crop = crop if row == previous else masks.crop(row)
        previous = row
        (top, bottom), (left, right) = y.spans[index].tolist(), x.spans[index].tolist()
        targets[index] = y[index] @ crop[top:bottom, left:right].astype(np.float32) @ x[index].T
    return targets


@dataclass(frozen=True, eq=False)
class _Weights:
    """The weights of pixels in cells along one axis, for several boxes.

    Attributes:
        values: The weights of all boxes, ``(side, pixels)`` each, one after another.
        starts: ``(N + 1,)``, where those of each box begin.
        spans: ``(N, 2)``, the pixels that have weights, counted from the begin of the window.
        side: Cells.
    """

    values: Floats
    starts: Integers
    spans: Integers
    side: int

    def __getitem__(self, index: int) -> Floats:
        """Return the weights of one box, ``(side, pixels)``."""
        return self.values[self.starts[index] : self.starts[index + 1]].reshape(self.side, -1)

    @classmethod
    def of(cls, ends: Floats, windows: Integers, length: int, side: int) -> _Weights:
        """Compute the weights.

        Args:
            ends: ``(N, 2)``, where each box begins and ends.
            windows: ``(N, 2)``, where the window of its mask begins and ends; pixels outside of it are 0 and get no weight.
            length: Pixels of the image along the axis.
            side: Cells.
        """
        # As in RoI align: boxes are at least a pixel long, and a cell has as many samples as it has pixels, rounded up.
        lengths = np.maximum(ends[:, 1] - ends[:, 0], np.float32(1))
        samples = np.ceil(lengths / np.float32(side)).astype(np.int64)
        boxes = np.repeat(np.arange(len(ends)), samples * side)
        steps = np.arange(len(boxes)) - np.repeat(np.cumsum(samples * side) - samples * side, samples * side)
        positions = (ends[:, 0].astype(np.float64) + lengths / (samples * side) * 0.5)[boxes] + steps * (lengths / (samples * side))[boxes]
        inside = (positions >= -1) & (positions <= length)
        positions = np.clip(positions, 0, length - 1)
        low = np.minimum(positions.astype(np.int64), max(0, length - 2))
        share = positions - low
        spans = _spans(ends, windows)
        widths = spans[:, 1] - spans[:, 0]
        starts = np.concatenate(([0], np.cumsum(side * widths)))
        cells = starts[boxes] + steps // samples[boxes] * widths[boxes]
        values = np.zeros(int(starts[-1]))
        for pixels, weights in ((low, 1 - share), (low + 1, share)):
            columns = pixels - windows[boxes, 0] - spans[boxes, 0]
            used = inside & (columns >= 0) & (columns < widths[boxes])
            values += np.bincount((cells + columns)[used], (weights / samples[boxes])[used], len(values))
        return cls(values.astype(np.float32), starts, spans, side)


def _spans(ends: Floats, windows: Integers) -> Integers:
    """Return the pixels of each window, counted from its begin, that samples in a box can touch."""
    lengths = windows[:, 1] - windows[:, 0]
    first = np.floor(ends[:, 0]).astype(np.int64) - 1 - windows[:, 0]
    last = np.ceil(np.maximum(ends[:, 1], ends[:, 0] + 1)).astype(np.int64) + 2 - windows[:, 0]
    begin = np.clip(first, 0, lengths)
    return np.stack((begin, np.clip(last, begin, lengths)), 1)
