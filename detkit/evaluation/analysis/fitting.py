"""Operating points that meet a target on labeled images."""

from __future__ import annotations

from typing import Any

import numpy as np

from detkit.checkpoint.operating_points import ALL, OperatingPoints
from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.analysis.target import Target
from detkit.evaluation.analysis.thresholds import RESAMPLES, ClassDetections, best_score, operating_points
from detkit.evaluation.ground_truth import GroundTruth

_FALLBACK = Target("f1")


def fit_operating_points(
    truth: GroundTruth, results: Any, target: Target, *, data: str, split: str | None = None, resamples: int = RESAMPLES, seed: int = 0
) -> OperatingPoints:
    """Find the score thresholds of each class, and of all classes together, that meet a target.

    A class that does not reach the target at any score gets no threshold. If all classes together do not, the score with the best F1
    takes the place of theirs.

    Args:
        truth: The ground truth.
        results: The detections: rows, or an ``(N, 7)`` array as in :func:`~detkit.evaluation.coco_curves.curves`.
        target: The target.
        data: Name of the data.
        split: Part of the data, if one was named.
        resamples: Number of bootstrap resamples for the intervals.
        seed: Random seed of the bootstrap.

    Raises:
        ValueError: If no detection is correct.
    """
    classes = class_detections(truth, results)
    pooled = ClassDetections.pooled(ALL, classes)
    score = best_score(pooled, target)
    fallback = best_score(pooled, _FALLBACK, min_correct=1) if score is None else score
    if fallback is None:
        raise ValueError(f"{data}: none of the {len(pooled.scores):,} detections is correct, so no score can be chosen; check --rename")
    chosen = {one.name: best_score(one, target) for one in classes}
    fitted = [(one, found) for one in classes if (found := chosen[one.name]) is not None]
    overall, *points = operating_points([(pooled, fallback), *fitted], resamples, seed)
    return OperatingPoints(
        target.rule,
        data,
        len(truth.image_ids),
        overall,
        {point.name: point for point in points},
        target=str(target),
        split=split,
        unreached=tuple(one.name for one in classes if chosen[one.name] is None and one.objects.any()),
        overall_reached=score is not None,
    )


def class_detections(truth: GroundTruth, results: Any) -> tuple[ClassDetections, ...]:
    """Return the detections of each class of the ground truth, matched at IoU .5, in the order of category ids."""
    matches = Matches.of(truth, results)
    index_of = {image_id: index for index, image_id in enumerate(truth.image_ids)}
    images = np.array([index_of[image_id] for image_id in matches.image.tolist()], np.int64)
    objects = {category_id: np.zeros(len(index_of), np.int64) for category_id in truth.categories}
    for row in truth.annotations:
        if not row["iscrowd"]:
            objects[row["category_id"]][index_of[row["image_id"]]] += 1
    classes = []
    for category_id, name in truth.categories.items():
        rows = matches.category == category_id
        columns = images[rows], matches.scores[rows], matches.correct[rows]
        classes.append(ClassDetections(name, *columns, objects[category_id]))
    return tuple(classes)
