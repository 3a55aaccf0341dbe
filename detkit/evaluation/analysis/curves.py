"""Precision, recall and F1 curves of each class and of all together."""

from __future__ import annotations

from dataclasses import dataclass

from detkit.evaluation.results import Floats


@dataclass(frozen=True)
class ScoreCurve:
    """Precision, recall and F1 of the detections with at least each score, at IoU .5.

    Attributes:
        scores: ``(S,)`` scores, descending.
        precision: ``(S,)`` fraction of the kept detections that is correct.
        recall: ``(S,)`` fraction of the objects that is detected; NaN without objects.
        f1: ``(S,)`` harmonic mean of the two; NaN without objects.
    """

    scores: Floats
    precision: Floats
    recall: Floats
    f1: Floats


@dataclass(frozen=True)
class ClassCurves:
    """Curves of one class, or of all.

    The curves over recall are COCO's, with precision made non-increasing, at the recalls 0, .01, ..., 1. Those of all classes are the means
    over the classes with objects. They are NaN without objects.

    Attributes:
        name: Name of the class, or ``"all"``.
        objects: Number of objects to detect.
        precision_50: ``(101,)`` precision at IoU .5.
        precision_75: ``(101,)`` precision at IoU .75.
        precision_mean: ``(101,)`` mean precision over IoU .50 to .95.
        by_score: Curves over the score, thinned to a limited number of scores; for all classes, counted together.
    """

    name: str
    objects: int
    precision_50: Floats
    precision_75: Floats
    precision_mean: Floats
    by_score: ScoreCurve
