"""Score thresholds with the best F1."""

from __future__ import annotations

import numpy as np

from detkit.checkpoint.operating_points import ALL, OperatingPoint
from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.analysis.matching import Flags
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.results import Floats


def best_f1_points(truth: GroundTruth, matches: Matches) -> tuple[OperatingPoint, ...]:
    """Return the score threshold with the best F1 of all classes together, then that of each class, in the order of category ids."""
    objects, _ = truth.boxes_by_class()
    points = [best_f1_point(ALL, matches.scores, matches.correct, objects.total())]
    for (category_id, name), rows in zip(truth.categories.items(), matches.rows_by_class(truth), strict=True):
        points.append(best_f1_point(name, matches.scores[rows], matches.correct[rows], objects[category_id]))
    return tuple(points)


def best_f1_point(name: str, scores: Floats, correct: Flags, objects: int) -> OperatingPoint:
    """Return the highest score with the best F1; equal scores are kept or dropped together."""
    order = np.argsort(-scores, kind="stable")
    scores, detected = scores[order], np.cumsum(correct[order])
    if not objects or not len(detected) or not detected[-1]:
        return OperatingPoint(name, *(float("nan"),) * 4)
    kept = np.arange(1, len(scores) + 1)
    f1 = np.where(np.append(scores[1:] != scores[:-1], True), 2 * detected / (kept + objects), -1.0)
    best = int(f1.argmax())
    return OperatingPoint(name, float(scores[best]), float(detected[best] / kept[best]), float(detected[best] / objects), float(f1[best]))


def kept_score(points: tuple[OperatingPoint, ...]) -> float:
    """Return the score with the best F1 of all classes; infinity, which keeps no detection, if none is correct."""
    return points[0].score if points[0].exists else float("inf")
