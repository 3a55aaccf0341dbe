"""Metrics of semantic segmentation: IoU of each class, mIoU and pixel accuracy, from counts of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.arrays import Doubles, ImageArray, Integers
from detkit.data.mask_pixels import mask_pixels
from detkit.data.records import ImageRecord
from detkit.structures.label_maps import IGNORED, label_map, target_map

NAMES = ("miou", "pixel_accuracy", "mean_accuracy")
BACKGROUND = "background"
"""Name of the pixels of no object in tables."""


@dataclass(frozen=True, eq=False)
class SegmentationNumbers:
    """Metrics over the pixels of a set of images whose class is known.

    Attributes:
        class_names: Names of the C classes, background last if it is one.
        confusion: ``(C, C)`` number of pixels by true class (rows) and predicted class (columns).
        ignored: Number of pixels whose class is unknown.
        images: Number of images.
        by_image: ``(images, 3, C)`` pixels of each image that are correct, that are of each class, and that are predicted as such.
    """

    class_names: tuple[str, ...]
    confusion: NDArray[np.int64]
    ignored: int
    images: int
    by_image: NDArray[np.int64]

    @property
    def pixels(self) -> Integers:
        """Number of pixels of each class, ``(C,)``."""
        return np.asarray(self.confusion.sum(1))

    @property
    def iou(self) -> Doubles:
        """IoU of each class over all images, ``(C,)``; NaN for a class that neither the labels nor the predictions have."""
        correct, union = self.confusion.diagonal(), self.confusion.sum(0) + self.confusion.sum(1) - self.confusion.diagonal()
        return np.asarray(_ratio(correct, union))

    @property
    def accuracy(self) -> Doubles:
        """Fraction of the pixels of each class that are predicted as such, ``(C,)``; NaN for a class without pixels."""
        return np.asarray(_ratio(self.confusion.diagonal(), self.pixels))

    @property
    def image_iou(self) -> Doubles:
        """Mean IoU of each image over the classes that its labels or its prediction have, ``(images,)``; NaN where all is ignored."""
        correct, true, predicted = np.moveaxis(self.by_image, 1, 0)
        union = true + predicted - correct
        sums, counts = np.where(union > 0, correct / np.maximum(union, 1), 0).sum(1), (union > 0).sum(1)
        return np.asarray(_ratio(sums, counts))

    @property
    def values(self) -> dict[str, float]:
        """mIoU, fraction of all pixels that are correct, and mean of the accuracies of the classes, by name; 0 without any pixel."""
        accuracy = _ratio(self.confusion.diagonal().sum(), self.confusion.sum())
        return dict(zip(NAMES, (_mean(self.iou), _mean(accuracy), _mean(self.accuracy)), strict=True))


class SegmentationEvaluator:
    """Counts pixels by true and predicted class, image by image.

    Args:
        class_names: The K classes of the model.
        background: Whether the pixels of no object are a class, that of label K; else they are ignored.
    """

    def __init__(self, class_names: Sequence[str | None], background: bool = True) -> None:
        self.class_names = (*(name or "?" for name in class_names), *((BACKGROUND,) if background else ()))
        self._fill = len(class_names) if background else IGNORED
        self._confusion = np.zeros((len(self.class_names), len(self.class_names)), np.int64)
        self._ignored = self._images = 0
        self._by_image: list[NDArray[np.int64]] = []

    def add(self, record: ImageRecord, detections: Any) -> None:
        """Add an image: its labels, and the regions that a segmenter predicts.

        Raises:
            ValueError: If the masks of the labels are of another image size, or the detections have no masks.
        """
        self.add_maps(*self.maps(record, detections))

    def maps(self, record: ImageRecord, detections: Any) -> tuple[ImageArray, ImageArray]:
        """Return the label maps ``(H, W)`` of an image: the labels, and the prediction; errors as in :meth:`add`."""
        masks = mask_pixels(record.targets.segmentations, len(record.targets), record.size, str(record.path))
        truth = target_map(record.targets.replace(masks=masks), record.size, self._fill)
        return truth, label_map(detections, record.size, self._fill)

    def add_maps(self, truth: ImageArray, predicted: ImageArray) -> None:
        """Add an image by its label maps ``(H, W)``; pixels whose true class is ignored do not count."""
        count = len(self.class_names)
        known = truth != IGNORED
        # A model without background predicts a class for every pixel; none is missing but where classes are not reported.
        columns = np.minimum(predicted[known], count)
        table = np.bincount(truth[known].astype(np.int64) * (count + 1) + columns, minlength=count * (count + 1))
        confusion = table.reshape(count, count + 1)[:, :count]
        self._confusion += confusion
        self._by_image.append(np.stack((confusion.diagonal(), confusion.sum(1), confusion.sum(0))))
        self._ignored += int((~known).sum())
        self._images += 1

    def numbers(self) -> SegmentationNumbers:
        """Return the metrics of all images so far."""
        by_image = np.array(self._by_image, np.int64).reshape(-1, 3, len(self.class_names))
        return SegmentationNumbers(self.class_names, self._confusion.copy(), self._ignored, self._images, by_image)


def _ratio(parts: Any, totals: Any) -> Any:
    return np.where(totals > 0, parts / np.maximum(totals, 1), np.nan)


def _mean(values: Any) -> float:
    """Return the mean of the numbers that are not NaN; 0 if there are none."""
    known = np.atleast_1d(values)[~np.isnan(np.atleast_1d(values))]
    return float(known.mean()) if len(known) else 0.0
