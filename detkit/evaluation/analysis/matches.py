"""Detections with the objects that they detect, in COCO's matching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.evaluation.results import Floats, Integers

MIN_IOU = 0.5
"""IoU from which a detection is correct, used throughout the analysis."""


@dataclass(frozen=True)
class Matches:
    """Counted detections in the order of the results, and the objects that they detect at IoU .5.

    Detections in crowds, and those beyond the 100th of an image and class, are neither correct nor wrong: they are in ``ignored`` only.

    Attributes:
        row: ``(N,)`` row of each detection in the results.
        image: ``(N,)`` image ids.
        category: ``(N,)`` category ids.
        boxes: ``(N, 4)`` ``x1 y1 x2 y2``.
        scores: ``(N,)``.
        target: ``(N,)`` row of the detected object in the ground truth's annotations, or -1 for a false detection.
        iou: ``(N,)`` IoU with that object; 0 for a false detection.
        ignored: Rows of the ignored detections in the results.
    """

    row: Integers
    image: Integers
    category: Integers
    boxes: Floats
    scores: Floats
    target: Integers
    iou: Floats
    ignored: Integers

    @property
    def correct(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """``(N,)`` whether each detection is correct."""
        return self.target >= 0
