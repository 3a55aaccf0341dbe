"""Precision, recall, F1 and false alarms of a detector that is used with one score threshold for each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detkit.checkpoint.atomic import finite
from detkit.checkpoint.operating_points import ALL
from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.analysis.matching import Flags
from detkit.evaluation.ground_truth import GroundTruth


@dataclass(frozen=True)
class PointNumbers:
    """Numbers of one class, or of all counted together, at IoU .5.

    Attributes:
        name: Name of the class, or ``"all"``.
        score: Score threshold; NaN for all classes together, and for a class without one, whose detections are all dropped.
        objects: Number of objects to detect.
        detections: Number of detections with at least the score.
        correct: Number of these that are correct.
        precision: Fraction of these that is correct; NaN without detections.
        recall: Fraction of the objects that is detected; NaN without objects.
        f1: Harmonic mean of the two; NaN without objects.
        false_alarms_per_image: Mean number of wrong detections in an image.
    """

    name: str
    score: float
    objects: int
    detections: int
    correct: int
    precision: float
    recall: float
    f1: float
    false_alarms_per_image: float

    @classmethod
    def of(cls, name: str, score: float, objects: int, correct: Flags, images: int) -> PointNumbers:
        """Return the numbers of the kept detections, of which ``correct`` flags the correct ones."""
        detections, detected = len(correct), int(correct.sum())
        precision = detected / detections if detections else float("nan")
        recall, f1 = (detected / objects, 2 * detected / (detections + objects)) if objects else (float("nan"),) * 2
        return cls(name, score, objects, detections, detected, precision, recall, f1, (detections - detected) / images)


@dataclass(frozen=True)
class PointsEvaluation:
    """Numbers at operating points.

    Attributes:
        images: Number of images.
        overall: All classes counted together.
        classes: Each class of the ground truth, in the order of category ids.
    """

    images: int
    overall: PointNumbers
    classes: tuple[PointNumbers, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict, with None for NaN."""
        return {"images": self.images, "overall": finite(asdict(self.overall)), "classes": [finite(asdict(row)) for row in self.classes]}


def at_operating_points(truth: GroundTruth, results: Any, scores: Mapping[str, float], default: float | None = None) -> PointsEvaluation:
    """Evaluate the detections with at least the score of their class, at IoU .5.

    Args:
        truth: The ground truth.
        results: Checked results: rows, or an ``(N, 7)`` array as in :func:`~detkit.evaluation.coco_curves.curves`.
        scores: Score threshold of each class, by name.
        default: Threshold of the classes without one; None drops all their detections.
    """
    matches = Matches.of(truth, results)
    objects, _ = truth.boxes_by_class()
    images, kept_of_classes, classes = len(truth.image_ids), [], []
    for (category_id, name), rows in zip(truth.categories.items(), matches.rows_by_class(truth), strict=True):
        score = scores.get(name, float("nan") if default is None else default)
        correct = matches.correct[rows[matches.scores[rows] >= score]]
        kept_of_classes.append(correct)
        classes.append(PointNumbers.of(name, score, objects[category_id], correct, images))
    overall = PointNumbers.of(ALL, float("nan"), objects.total(), np.concatenate(kept_of_classes), images)
    return PointsEvaluation(images, overall, tuple(classes))
