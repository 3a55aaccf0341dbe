"""Semantic segmentation: from the class probabilities of a model's cells to one mask for each class in the image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from detkit.arrays import Floats, Integers, Size
from detkit.preprocess.placement import Placement
from detkit.structures.detection import DetectionArrays
from detkit.structures.label_maps import class_masks


def class_regions(rows: Any, placement: Placement) -> DetectionArrays:
    """Return the regions of the classes in the original image from the probabilities of each class in the model's input.

    The probabilities of each pixel of the original image are interpolated bilinearly between the cells around it; its class is the most
    probable one. What the probabilities lack of 1 is that of the background, which is not reported.

    Args:
        rows: What a segmenter returns, tensors or arrays: for each class its ``mask_probabilities`` in cells of the whole input.
        placement: Placement of the original image in the input.

    Returns:
        One row for each class with a pixel: the box around its region, the region as its mask, and the mean probability of the class in it
        as its score; highest score first. The masks do not overlap.
    """
    arrays: DetectionArrays = rows.numpy()
    if arrays.mask_probabilities is None:
        raise ValueError("expected the probabilities of each class, got none")
    labels, scores = most_probable(pixel_probabilities(arrays.mask_probabilities, placement), placement.original)
    return regions(labels, scores, arrays)


def regions(labels: Any, probabilities: Floats, classes: DetectionArrays) -> DetectionArrays:
    """Return a row for each class that has pixels.

    Args:
        labels: ``(H, W)``, the row of the class of each pixel in ``classes``; their number for background.
        probabilities: ``(H, W)``, the probability of that class.
        classes: A row for each class, with its label.
    """
    count = len(classes)
    pixels = np.bincount(labels.reshape(-1), minlength=count)[:count]
    sums = np.bincount(labels.reshape(-1), probabilities.reshape(-1), count)[:count]
    present = np.flatnonzero(pixels).tolist()
    masks = class_masks(labels, present)
    scores = (sums[present] / pixels[present]).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    rows_of_image = np.array(present, np.int64)[order]
    masks = masks[order]
    return DetectionArrays(masks.boxes, scores[order].clip(0, 1), classes.labels[rows_of_image], classes.class_names, None, masks)


def pixel_probabilities(cells: Floats, placement: Placement, rows: slice = slice(None)) -> Iterator[Floats]:
    """Yield for each class its probability in the pixels ``(h, W)`` of some rows of the original image, interpolated bilinearly.

    Args:
        cells: ``(K, h, w)`` probabilities in cells of the whole input.
        placement: Placement of the original image in the input.
        rows: The rows of pixels.
    """
    y, x = (
        _Taps.of(cells.shape[axis + 1], placement.original[axis], placement.content[axis], placement.offset[axis], placement.canvas[axis])
        for axis in (0, 1)
    )
    y = y.part(rows)
    for values in cells:
        yield x.interpolated(y.interpolated(values.T).T)


def most_probable(classes: Iterable[Floats], size: Size) -> tuple[Any, Floats]:
    """Return for each pixel the most probable row, or their number for background, and its probability.

    Args:
        classes: ``(H, W)`` for each class, the probability of each pixel.
        size: ``(H, W)``.
    """
    best, background = np.zeros(size, np.float32), np.ones(size, np.float32)
    labels = np.zeros(size, np.int32)
    count = 0
    for row, pixels in enumerate(classes):
        background -= pixels
        more = pixels > best if row else np.ones_like(pixels, np.bool_)
        labels[more], best[more] = row, pixels[more]
        count = row + 1
    empty = background > best + 1e-5  # the sum of all classes differs from 1 by rounding where a model has no background
    labels[empty], best[empty] = count, background[empty]
    return labels.astype(np.uint8) if count < np.iinfo(np.uint8).max else labels, best


class _Taps:
    """The cells that each pixel of the original image is interpolated between along one side, and the weight of the second one.

    Args:
        first: ``(n,)``.
        second: ``(n,)``.
        share: ``(n,)``.
    """

    def __init__(self, first: Integers, second: Integers, share: Floats) -> None:
        self.first, self.second, self.share = first, second, share

    @classmethod
    def of(cls, cells: int, original: int, content: int, offset: int, canvas: int) -> _Taps:
        """Return the cells for a side of ``original`` pixels, resized to ``content`` at ``offset`` of an input of ``canvas`` pixels."""
        in_input = (np.arange(original) + 0.5) * (content / original)
        low, high = offset * cells / canvas, (offset + content) * cells / canvas
        positions = np.clip(low + in_input * (cells / canvas) - 0.5, low, max(low, high - 1))
        first = np.clip(np.floor(positions).astype(np.int64), 0, cells - 1)
        return cls(first, np.minimum(first + 1, cells - 1), (positions - first).astype(np.float32))

    def part(self, pixels: slice) -> _Taps:
        """Return the cells of some of the pixels."""
        return _Taps(self.first[pixels], self.second[pixels], self.share[pixels])

    def interpolated(self, values: Floats) -> Floats:
        """Interpolate ``(m, cells)`` along its last side."""
        before, after = values[:, self.first], values[:, self.second]
        result: Floats = before + (after - before) * self.share
        return result
