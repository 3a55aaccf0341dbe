"""Label maps: the class of each pixel, as an array, and as one mask for each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.arrays import ImageArray, Size
from detkit.structures.masks import Masks

IGNORED = 255
"""Label of pixels of which the class is unknown, or does not count."""
MAX_CLASSES = 254
"""Maximum number of classes of a label map; background has a label of its own."""


def target_map(targets: Any, size: Size, fill: int) -> ImageArray:
    """Return the class of each pixel of an image from its labeled objects.

    Where objects overlap, the smaller one is on top, as it would be hidden otherwise; of equally large ones, the one that is labeled later.
    Regions to ignore are below all objects. The box of an object without a mask is ignored where no other object is, as the object is
    somewhere in it.

    Args:
        targets: The objects, :class:`detkit.structures.Targets` with ``masks``, in pixels of the image.
        size: ``(height, width)`` of the image.
        fill: Label of the pixels without object: that of the background, or :data:`IGNORED` where all pixels should have a class.

    Returns:
        ``(H, W)`` uint8 with labels, ``fill`` and :data:`IGNORED`.

    Raises:
        ValueError: If there are objects, and none of them can have a mask because the data has none.
    """
    labels, masks = np.full(size, fill, np.uint8), targets.masks
    if masks is None:
        if len(targets):
            raise ValueError(f"expected masks of the objects, got {len(targets)} boxes without; label outlines, or use data that has them")
        return labels
    ignored = targets.is_crowd.cpu().numpy() | targets.is_ignore.cpu().numpy()
    unknown = ~masks.present
    order = np.lexsort((np.arange(len(masks)), -masks.areas, ~(ignored | unknown)))
    for row in order.tolist():
        label = IGNORED if ignored[row] or unknown[row] else int(targets.labels[row])
        if unknown[row]:
            _fill_box(labels, targets.boxes[row].tolist(), label)
        else:
            paint(labels, masks, row, label)
    return labels


def paint(labels: ImageArray, masks: Masks, row: int, label: int) -> None:
    """Set the pixels of a mask in a label map, in place; pixels outside of the map are left out."""
    x1, y1, x2, y2 = masks.windows[row].tolist()
    left, top, right, bottom = max(0, x1), max(0, y1), min(labels.shape[1], x2), min(labels.shape[0], y2)
    if right > left and bottom > top:
        labels[top:bottom, left:right][masks.crop(row)[top - y1 : bottom - y1, left - x1 : right - x1]] = label


def label_map(detections: Any, size: Size, fill: int) -> ImageArray:
    """Return the class of each pixel of an image from the regions that a segmenter predicts.

    Args:
        detections: One row with a mask for each class in the image, :class:`detkit.Detections` or numpy arrays.
        size: ``(height, width)`` of the image.
        fill: Label of the pixels of no row.

    Returns:
        ``(H, W)`` uint8.

    Raises:
        ValueError: If the detections have no masks.
    """
    labels = np.full(size, fill, np.uint8)
    if detections.masks is None:
        raise ValueError("expected the regions of a model for semantic segmentation, got detections without masks")
    for row, label in enumerate(detections.labels.tolist()):
        paint(labels, detections.masks, row, label)
    return labels


def class_masks(labels: ImageArray, values: list[int]) -> Masks:
    """Return the pixels of a label map ``(H, W)`` that have each of some values, one mask for each."""
    return Masks.of([(labels == value, 0, 0) for value in values])


def _fill_box(labels: ImageArray, box: list[float], label: int) -> None:
    """Set the pixels of a box, which may stick out of the image."""
    height, width = labels.shape
    x1, y1 = (int(np.clip(np.floor(value), 0, side)) for value, side in zip(box[:2], (width, height), strict=True))
    x2, y2 = (int(np.clip(np.ceil(value), 0, side)) for value, side in zip(box[2:], (width, height), strict=True))
    labels[y1:y2, x1:x2] = label
