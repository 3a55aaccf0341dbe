"""Precision, recall, F1 and false alarms of a detector that is used with one score threshold for each class."""

from __future__ import annotations

from dataclasses import dataclass


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
