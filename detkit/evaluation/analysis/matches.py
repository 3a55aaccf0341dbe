"""Detections with the objects that they detect, in COCO's matching."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detkit.evaluation.analysis.matching import Flags, Matching, match, sorted_ids
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Floats, Integers
from detkit.evaluation.voc import corners

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

    @classmethod
    def of(cls, truth: GroundTruth, results: Any) -> Matches:
        """Match checked results: rows, or an ``(N, 7)`` array as in :func:`~detkit.evaluation.coco_curves.curves`."""
        return cls.of_matching(match(truth, results, thresholds=(MIN_IOU,)))

    @classmethod
    def of_matching(cls, matching: Matching) -> Matches:
        """Return the matches of a matching whose first area range has all objects and whose first IoU threshold is .5."""
        is_ignored = (matching.ignored[0] & 1).astype(np.bool_)
        kept = np.flatnonzero(~is_ignored)
        kept = kept[np.argsort(matching.row[kept])]
        truth = matching.truth
        return cls(
            matching.row[kept],
            sorted_ids(truth.image_ids)[matching.image[kept]],
            sorted_ids(truth.categories)[matching.label[kept]],
            corners(matching.boxes[kept]),
            matching.scores[kept],
            matching.target[kept],
            matching.iou[kept],
            np.sort(np.concatenate([matching.row[is_ignored], matching.dropped])),
        )

    def rows_by_class(self, truth: GroundTruth) -> list[Integers]:
        """Return the positions of the detections of each class of the ground truth, in the order of category ids."""
        categories = sorted_ids(truth.categories)
        order = np.argsort(self.category, kind="stable")
        return np.split(order, np.searchsorted(self.category[order], categories[1:]))

    @property
    def correct(self) -> Flags:
        """``(N,)`` whether each detection is correct."""
        return self.target >= 0
