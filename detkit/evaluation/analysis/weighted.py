"""COCO metrics in which every image counts as often as its weight: for a bootstrap, and for parts of the images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.evaluation.analysis.matching import Matching
from detkit.evaluation.results import Floats, Integers

RECALLS: Floats = np.linspace(0.0, 1.0, 101)
"""COCO's recalls, in pycocotools' floating point."""


@dataclass(frozen=True)
class Entries:
    """The detections and objects of one area range, as the compiled accumulation takes them.

    Attributes:
        starts: ``(K + 1,)`` first detection of each class.
        detections: Image index, bits of the thresholds at which each is correct and ignored, and rank; best first within a class.
        object_starts: ``(K + 1,)`` first object of each class.
        object_images: ``(M,)`` image index of each counted object.
        thresholds: Number of IoU thresholds.
    """

    starts: Integers
    detections: tuple[Integers, Integers, Integers, Integers]
    object_starts: Integers
    object_images: Integers
    thresholds: int

    @classmethod
    def of(cls, matching: Matching, index: int, area: tuple[float, float], thresholds: int) -> Entries:
        """Return the entries of the area range number ``index``; detections that no threshold counts are left out."""
        every = (1 << thresholds) - 1
        classes = np.arange(len(matching.truth.categories) + 1)
        counted = np.flatnonzero(matching.ignored[index] != every)
        order = counted[np.lexsort((-matching.scores[counted], matching.label[counted]))]
        columns = (matching.image, matching.correct[index], matching.ignored[index], matching.rank)
        objects = matching.objects
        inside = np.flatnonzero(~objects.crowd & (objects.area >= area[0]) & (objects.area <= area[1]))
        inside = inside[np.argsort(objects.label[inside], kind="stable")]
        return cls(
            np.searchsorted(matching.label[order], classes),
            tuple(np.ascontiguousarray(column[order], np.int32) for column in columns),  # type: ignore[arg-type]
            np.searchsorted(objects.label[inside], classes),
            np.ascontiguousarray(objects.image[inside], np.int32),
            thresholds,
        )

    def evaluate(self, weights: Floats) -> Floats:
        """Return AP and recall with 100, 1 and 10 detections ``(K, 4, T, B)`` at each column of the weights ``(I, B)`` of the images.

        The weights are whole numbers. The results are NaN for a class without objects.
        """
        from detkit.evaluation.analysis.kernels.accumulation import accumulate

        output = np.zeros((len(self.starts) - 1, 4, self.thresholds, weights.shape[1]))
        accumulate(self.starts, self.detections, self.object_starts, self.object_images, weights, RECALLS, output)
        return output
