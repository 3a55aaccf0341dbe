"""Accuracy of an image classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOP = 5
"""The k of top-k accuracy."""

NAMES = ("top1", "top5", "balanced")


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Classification accuracy over a set of images.

    Attributes:
        top1: Fraction of the images whose most likely class is the true one.
        top5: Fraction of the images whose true class is among the five most likely.
        balanced: Mean of the per-class top-1 accuracies, so that rare classes count as much as frequent ones.
        by_class: ``(K,)`` top-1 accuracy of each class; NaN for a class without images.
        counts: ``(K,)`` number of images of each class.
        confusion: ``(K, K)`` number of images by true class (rows) and most likely class (columns).
    """

    top1: float
    top5: float
    balanced: float
    by_class: NDArray[np.float64]
    counts: NDArray[np.int64]
    confusion: NDArray[np.int64]

    @property
    def values(self) -> dict[str, float]:
        """The three accuracies by name."""
        return {name: float(getattr(self, name)) for name in NAMES}


def accuracy(labels: Sequence[int], predictions: Sequence[Sequence[int]], num_classes: int) -> Accuracy:
    """Compare the true class of each image with its predicted classes, most likely first.

    Raises:
        ValueError: If there are no images, or the numbers of predictions and labels differ.
    """
    if not labels or len(labels) != len(predictions):
        raise ValueError(f"accuracy: expected equally many predictions and labels, at least one, got {len(predictions)} and {len(labels)}")
    confusion = np.zeros((num_classes, num_classes), np.int64)
    top5_correct = 0
    for label, row in zip(labels, predictions, strict=True):
        if len(row):  # empty if no class has a name
            confusion[label, row[0]] += 1
        top5_correct += label in list(row)[:TOP]
    counts = np.bincount(np.asarray(labels), minlength=num_classes)
    correct = confusion.diagonal()
    by_class = np.where(counts > 0, correct / np.maximum(counts, 1), np.nan)
    return Accuracy(
        float(correct.sum() / len(labels)), top5_correct / len(labels), float(np.nanmean(by_class)), by_class, counts, confusion
    )
