"""Precision, recall and F1 curves of each class and of all together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detkit.checkpoint.operating_points import ALL
from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.analysis.matching import Flags
from detkit.evaluation.coco_curves import Curves
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Floats

MAX_POINTS, MIN_POINTS, ALL_POINTS = 120, 20, 12_000
"""Largest number of scores of a thinned curve, and with many classes; and about the largest number of those of all classes."""
_IOU_50, _IOU_75 = 0, 5


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

    @classmethod
    def of(cls, scores: Floats, correct: Flags, objects: int) -> ScoreCurve:
        """Return the curve of detections in any order, with one point for each score that occurs."""
        order = np.argsort(-scores, kind="stable")
        scores, detected = scores[order], np.cumsum(correct[order])
        last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])
        kept, detected = last + 1, detected[last]
        unknown = np.full(len(last), np.nan)
        recall, f1 = (detected / objects, 2 * detected / (kept + objects)) if objects else (unknown, unknown)
        return cls(scores[last], detected / kept, recall, f1)

    def thinned(self, points: int = MAX_POINTS) -> ScoreCurve:
        """Return at most ``points`` points: the first, the last, the best F1, and others at even distances in score and in rank."""
        count = len(self.scores)
        if count <= points:
            return self
        levels = np.linspace(self.scores[0], self.scores[-1], points // 2)
        by_score = np.searchsorted(-self.scores, -levels).clip(0, count - 1)
        by_rank = np.linspace(0, count - 1, points - len(levels) - 1).astype(np.int64)
        best = [] if np.isnan(self.f1).all() else [int(np.nanargmax(self.f1))]
        chosen = np.unique(np.concatenate([by_score, by_rank, np.array(best, np.int64)]))
        return ScoreCurve(self.scores[chosen], self.precision[chosen], self.recall[chosen], self.f1[chosen])


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


def class_curves(truth: GroundTruth, accumulated: Curves, matches: Matches) -> tuple[ClassCurves, ...]:
    """Return the curves of all classes, then those of each class in the order of category ids."""
    objects, _ = truth.boxes_by_class()
    precision = accumulated.precision[:, :, :, 0, -1]
    precision = np.where(precision > -1, precision, np.nan)
    known = [index for index, category_id in enumerate(truth.categories) if objects[category_id]]
    points = max(MIN_POINTS, min(MAX_POINTS, ALL_POINTS // len(truth.categories)))
    by_class = []
    for index, ((category_id, name), kept) in enumerate(zip(truth.categories.items(), matches.rows_by_class(truth), strict=True)):
        by_score = ScoreCurve.of(matches.scores[kept], matches.correct[kept], objects[category_id]).thinned(points)
        by_class.append(_curves(name, objects[category_id], precision[:, :, index], by_score))
    mean = precision[:, :, known].mean(2) if known else np.full(precision.shape[:2], np.nan)
    together = ScoreCurve.of(matches.scores, matches.correct, objects.total()).thinned()
    return (_curves(ALL, objects.total(), mean, together), *by_class)


def _curves(name: str, objects: int, precision: Floats, by_score: ScoreCurve) -> ClassCurves:
    return ClassCurves(name, objects, precision[_IOU_50], precision[_IOU_75], precision.mean(0), by_score)
