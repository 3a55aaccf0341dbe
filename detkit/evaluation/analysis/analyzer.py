"""Analysis of checked results."""

from __future__ import annotations

from typing import Any

from detkit.evaluation.analysis.analysis import Analysis
from detkit.evaluation.analysis.best_f1 import best_f1_points, kept_score
from detkit.evaluation.analysis.calibration import calibrations
from detkit.evaluation.analysis.confusion import Confusion
from detkit.evaluation.analysis.curves import class_curves
from detkit.evaluation.analysis.groups import AREAS, Groups
from detkit.evaluation.analysis.intervals import RESAMPLES, intervals_of
from detkit.evaluation.analysis.judging import judge
from detkit.evaluation.analysis.listing import images_with_mistakes, list_cases
from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.analysis.matching import COCO_RANGES, IOU_THRESHOLDS, match
from detkit.evaluation.analysis.tide import tide_errors
from detkit.evaluation.coco import coco_numbers
from detkit.evaluation.coco_curves import curves
from detkit.evaluation.ground_truth import GroundTruth


def analyze(truth: GroundTruth, results: Any, *, score: float | None = None, resamples: int = RESAMPLES, seed: int = 0) -> Analysis:
    """Compute every number that an evaluation report shows.

    Args:
        truth: The ground truth.
        results: Checked results: rows, or an ``(N, 7)`` array of image id, x, y, width, height, score, category id.
        score: Score of the cut at which cases and confusions are counted; None: the score with the best F1 of all classes.
        resamples: Number of bootstrap resamples of the intervals.
        seed: Random seed of the resampling.

    Raises:
        ValueError: If ``resamples`` is below 1.
    """
    accumulated = curves(truth, results, "hotcoco")
    matching = match(truth, results, COCO_RANGES + AREAS, IOU_THRESHOLDS)
    matches = Matches.of_matching(matching)
    points = best_f1_points(truth, matches)
    score = kept_score(points) if score is None else score
    judgments = judge(truth, matches, score)
    cases = list_cases(truth, matches, judgments)
    return Analysis(
        numbers=coco_numbers(truth, accumulated, "hotcoco"),
        intervals=intervals_of(matching, resamples, seed),
        operating_points=points,
        curves=class_curves(truth, accumulated, matches),
        calibration=calibrations(truth, matches),
        tide=tide_errors(truth, results),
        groups=Groups.of(matching),
        score=score,
        cases=cases,
        images=images_with_mistakes(truth, matches, score),
        confusion=Confusion.of(truth, score, judgments, cases),
    )
