"""Detections of all images of a part as flat arrays, with the classes of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.arrays import Floats, Integers
from detkit.data import DetectionData
from detkit.inference.loop import PredictorLike, detect_records

Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True, eq=False)
class DetectedBoxes:
    """The detections of ``M`` images.

    Attributes:
        offsets: ``(M + 1,)``; the rows of image ``i`` are ``offsets[i]:offsets[i + 1]``.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2``.
        scores: ``(N,)``, best first in each image.
        labels: ``(N,)`` labels of the detector's own classes.
    """

    offsets: Integers
    boxes: Floats
    scores: Floats
    labels: Integers

    @classmethod
    def of(cls, rows: Iterable[tuple[Floats, Floats, Integers]]) -> DetectedBoxes:
        """Return the table of boxes, scores and labels of each image."""
        listed = list(rows)
        boxes, scores, labels = ([row[column] for row in listed] for column in range(3))
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in scores])]).astype(np.int64)
        return cls(
            offsets,
            np.concatenate([np.zeros((0, 4), np.float32), *boxes]),
            np.concatenate([np.zeros(0, np.float32), *scores]),
            np.concatenate([np.zeros(0, np.int64), *labels]),
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, images: Iterable[int]) -> DetectedBoxes:
        """Return the detections of the images with the given indices."""
        slices = [slice(self.offsets[image], self.offsets[image + 1]) for image in images]
        return DetectedBoxes.of((self.boxes[rows], self.scores[rows], self.labels[rows]) for rows in slices)


def detect(predictor: PredictorLike, data: DetectionData, progress: Progress = iter) -> DetectedBoxes:
    """Run a detector on all images of a part.

    Raises:
        FileNotFoundError: If an image is missing.
        ValueError: If an image cannot be read, or has another size than its labels state.
    """
    arrays = (detections.numpy() for _, detections in progress(detect_records(predictor, data)))
    return DetectedBoxes.of((row.boxes, row.scores, row.labels) for row in arrays)
