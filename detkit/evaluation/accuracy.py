"""How often a classifier is right about whole images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOP = 5
"""Guesses that top-5 allows."""

NAMES = ("top1", "top5", "balanced")


@dataclass(frozen=True, eq=False)
class Accuracy:
    """What came of comparing guesses with labels.

    Attributes:
        top1: Share of the images whose likeliest class is the true one.
        top5: Share of those whose true class is among the five likeliest.
        balanced: The mean over classes of each one's own top-1, in which rare classes count as much as frequent ones.
        by_class: ``(K,)`` top-1 of each class; NaN without images.
        counts: ``(K,)`` images of each class.
        confusion: ``(K, K)`` images by true class (rows) and likeliest class.
    """

    top1: float
    top5: float
    balanced: float
    by_class: NDArray[np.float64]
    counts: NDArray[np.int64]
    confusion: NDArray[np.int64]

    @property
    def values(self) -> dict[str, float]:
        """The three numbers by name."""
        return {name: float(getattr(self, name)) for name in NAMES}


def accuracy(labels: Sequence[int], guesses: Sequence[Sequence[int]], num_classes: int) -> Accuracy:
    """Compare the true class of each image with its guesses, the likeliest first.

    Raises:
        ValueError: there are no images, or not as many guesses as labels.
    """
    if not labels or len(labels) != len(guesses):
        raise ValueError(f"accuracy: expected as many guesses as labels, and at least one, got {len(guesses)} and {len(labels)}")
    confusion = np.zeros((num_classes, num_classes), np.int64)
    right_5 = 0
    for label, row in zip(labels, guesses, strict=True):
        if len(row):  # all classes may be without a name
            confusion[label, row[0]] += 1
        right_5 += label in list(row)[:TOP]
    counts = np.bincount(np.asarray(labels), minlength=num_classes)
    right = confusion.diagonal()
    by_class = np.where(counts > 0, right / np.maximum(counts, 1), np.nan)
    return Accuracy(float(right.sum() / len(labels)), right_5 / len(labels), float(np.nanmean(by_class)), by_class, counts, confusion)
