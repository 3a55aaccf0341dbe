"""Semantic segmentation of several views of an image: tiles, scales and mirrored ones; their probabilities are averaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from detkit.arrays import Floats, Size
from detkit.inference.pixels.label_maps import class_regions, most_probable, pixel_probabilities, regions
from detkit.inference.views.prepared import PreparedViews, batches
from detkit.inference.views.view import View
from detkit.preprocess.placement import Placement
from detkit.structures.detection import DetectionArrays

BAND_NUMBERS = 1 << 27
"""Numbers, one for each class and pixel, that are held at once: half a gigabyte; the rows of a larger image are computed in bands."""


def blended_regions(predictor: Any, image: PreparedViews) -> DetectionArrays:
    """Return the regions of the classes in an image from the mean of the probabilities of all views that show a pixel.

    An image with a single view gives what the predictor gives without views. Views at the border of two bands of a large image run for
    both.

    Args:
        predictor: A predictor of a model for semantic segmentation.
        image: The views of the image.
    """
    if len(image.views) == 1 and not image.views[0].flipped and image.views[0].window == (0, 0, image.size[1], image.size[0]):
        ((rows, placement),) = predictor.class_cells([image.input(0)])
        return class_regions(rows, placement)
    (height, width), parts, classes = image.size, [], None
    count = max(1, len(predictor.class_names))
    step = max(1, BAND_NUMBERS // (count * width))
    for top in range(0, height, step):
        band = _Band((top, min(height, top + step)), width)
        for rows, view, placement in _cells(predictor, image, band):
            classes = rows
            if rows.mask_probabilities is not None:
                band.add(rows.mask_probabilities, view, placement)
        parts.append(band.labels())
    assert classes is not None  # an image has at least one view
    labels, scores = (np.concatenate(values) for values in zip(*parts, strict=True))
    return regions(labels, scores, classes)


def _cells(predictor: Any, image: PreparedViews, band: _Band) -> Iterator[tuple[DetectionArrays, View, Placement]]:
    """Yield the probabilities of the views that show a part of a band."""
    shown = [view for view in image.views if view.window.y1 < band.rows[1] and view.window.y2 > band.rows[0]]
    part = replace(image, views=tuple(shown))
    for batch in batches([part], predictor.batch_size):
        for (_, view), (rows, placement) in zip(batch, predictor.class_cells([part.input(index) for _, index in batch]), strict=True):
            yield rows.numpy(), shown[view], placement


class _Band:
    """Sums of probabilities in some rows of an image.

    Args:
        rows: The first row, and the last one (exclusive).
        width: Width of the image.
    """

    def __init__(self, rows: tuple[int, int], width: int) -> None:
        self.rows = rows
        self.size: Size = rows[1] - rows[0], width
        self.sums: Floats | None = None
        self.counts = np.zeros(self.size, np.float32)

    def add(self, cells: Floats, view: View, placement: Placement) -> None:
        """Add the probabilities of a view where it shows the band.

        Args:
            cells: ``(K, h, w)`` probabilities in cells of the input of the view.
            view: The view.
            placement: Placement of its window in the input.
        """
        window, (first, last) = view.window, self.rows
        top, bottom, right = max(first, window.y1), min(last, window.y2), min(self.size[1], window.x2)
        whole = replace(placement, original=window.size)  # windows of huge images are reduced before they are resized
        if self.sums is None:
            self.sums = np.zeros((len(cells), *self.size), np.float32)
        region = slice(top - first, bottom - first), slice(window.x1, right)
        self.counts[region] += 1
        for total, pixels in zip(self.sums, pixel_probabilities(cells, whole, slice(top - window.y1, bottom - window.y1)), strict=True):
            total[region] += (pixels[:, ::-1] if view.flipped else pixels)[:, : right - window.x1]

    def labels(self) -> tuple[Any, Floats]:
        """Return the row of the class of each pixel, and its mean probability."""
        sums = np.zeros((0, *self.size), np.float32) if self.sums is None else self.sums
        return most_probable((total / np.maximum(self.counts, 1) for total in sums), self.size)
